"""Documents and benchmark records become features: vocabulary, data sets, token stores, batches."""
