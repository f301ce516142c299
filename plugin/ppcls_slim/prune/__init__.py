"""Filter pruning: which channels belong together, which of them are kept, and the plan that says so.

Analyse (:mod:`.analysis`), assign ratios (:mod:`.ratios`), score and select (:mod:`.choose`), plan (:mod:`.planning`)
and prune (:mod:`.pruner`). Pruning during training is in :mod:`.schedules`.
"""
