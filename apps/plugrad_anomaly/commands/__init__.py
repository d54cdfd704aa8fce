"""The verbs of `plugrad anomaly`, one file each; what they share is in `options`."""
