"""One file a criterion: the file's name is the name in ``Slim.prune.name``, ``CRITERION`` is the criterion."""
