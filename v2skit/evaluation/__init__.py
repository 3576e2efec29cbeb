"""Evaluation of synthesised speech: metrics, word error rate, scores, reports and plots."""
