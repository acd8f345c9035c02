"""Packed rows in the file formats of other trainers, one module per format.

Every format gets the rows as they are trained on here: same tokens, same order, same boundaries, repeats of upsampled
documents written out. What a format cannot carry is said by its module, and refused where it would change the loss.
"""
