"""From predictions to results: metrics, statistics, the results store, the evaluator, reports."""
