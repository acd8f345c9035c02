"""What a recipe would give, before any of it is done, by the stages that would do it, in scratch runs.

From a run's index the plan is exact. From raw text: ``reading`` chooses what is read, ``trial`` runs the stages on it,
``imputation`` and ``interval`` say what the rest may be like, ``planning`` plans over the result.
"""
