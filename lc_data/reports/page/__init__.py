"""The page: a function from the numbers of a report to one HTML file that needs nothing else."""
