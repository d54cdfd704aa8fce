#!/bin/sh
# The demonstration: what `make demo` runs, each command as a user would type it.
set -eu
cd "$(dirname "$0")/.."
out=demo-output
mkdir -p "$out"

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

step '1. Learn what two good days of a service look like, session by session'
run plugrad anomaly train data/logs/train.log.gz --model $out/shop.model --group-by '(?:req|job)-[0-9a-f]+' \
    --curves $out/learning-curves.png --force

step '2. Find what is odd on the day after, and why (the first ten lines)'
run plugrad anomaly score data/logs/new.log --model $out/shop.model --format table -o $out/findings.txt --force
head -10 $out/findings.txt

step '3. Compare with what is known to be wrong on that day'
run plugrad anomaly evaluate data/logs/new.log --model $out/shop.model --labels data/logs/labels.csv

step '4. The same log in windows of 20 lines, where faults have no session'
run plugrad anomaly train data/logs/train.log.gz --model $out/windows.model --force
run plugrad anomaly evaluate data/logs/new.log --model $out/windows.model --labels data/logs/labels.csv

step '5. The same for the readings of machines in a CSV file'
run plugrad anomaly train data/sensors/train.csv --model $out/sensors.model --id-column reading_id --fpr 0.002 --force
run plugrad anomaly score data/sensors/new.csv --model $out/sensors.model --format table -o $out/readings.txt --force
head -8 $out/readings.txt
run plugrad anomaly evaluate data/sensors/new.csv --model $out/sensors.model --labels data/sensors/labels.csv

step "Done. In $out: the models, findings.txt, readings.txt and learning-curves.png."
