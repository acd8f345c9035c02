"""How answers are scored: the published metrics of LongBench, L-Eval, NeedleBench and RULER, without torch or a model.

Every metric takes one prediction and one reference (or all of them where it is defined so) and gives a share from 0
to 1; suites multiply by 100. They reproduce the published scorers to the last digit, quirks included, because a score
is read beside those of other models; where that would mean scoring an answer 0 for its length, the difference is
documented at the metric.
"""
