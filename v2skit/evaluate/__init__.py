"""Evaluation: metrics, speech recognition for the WER, intervals and reports."""
