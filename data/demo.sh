#!/bin/sh
# The demonstration: what `make demo` runs, each command as a user would type it.
set -eu
cd "$(dirname "$0")/.."
out=demo-output
mkdir -p "$out"

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

step '1. What kinds of lines a log has (the six most frequent)'
run plugrad anomaly templates data/logs/train.log.gz --top 6

step '2. Learn what two good days of a service look like, in windows of 20 lines'
run plugrad anomaly train data/logs/train.log.gz --model $out/shop.model --curves $out/learning-curves.png --force

step '3. Find what is odd on the day after, and why (the first eight lines)'
run plugrad anomaly score data/logs/new.log --model $out/shop.model --format table -o $out/findings.txt --force
head -8 $out/findings.txt

step '4. Compare with what is known to be wrong on that day'
run plugrad anomaly evaluate data/logs/new.log --model $out/shop.model --labels data/logs/labels.csv \
    --curves $out/score-curves.png --force

step '5. All findings on a page to look at'
run plugrad anomaly score data/logs/new.log --model $out/shop.model --format jsonl -o $out/scores.jsonl --force
run plugrad anomaly report $out/scores.jsonl -o $out/report.html --force

step '6. The same log session by session'
run plugrad anomaly train data/logs/train.log.gz --model $out/sessions.model --group-by '(?:req|job)-[0-9a-f]+' --force
run plugrad anomaly evaluate data/logs/new.log --model $out/sessions.model --labels data/logs/labels.csv

step '7. The same for the readings of machines in a CSV file'
run plugrad anomaly train data/sensors/train.csv --model $out/sensors.model --id-column reading_id --force
run plugrad anomaly score data/sensors/new.csv --model $out/sensors.model --format table -o $out/readings.txt --force
head -8 $out/readings.txt
run plugrad anomaly evaluate data/sensors/new.csv --model $out/sensors.model --labels data/sensors/labels.csv

step "Done. In $out: report.html, findings.txt, readings.txt, the curves and the models."
