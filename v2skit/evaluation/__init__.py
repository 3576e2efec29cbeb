"""Metrics, speech recognition, scores, reports and plots."""
