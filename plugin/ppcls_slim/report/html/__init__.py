"""The page of a run: ``report.json`` is what is known (:mod:`.record`), ``report.html`` is drawn from it alone."""
