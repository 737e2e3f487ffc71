"""Data sets."""

from thalweg.data.toy import TOYS as TOYS
from thalweg.data.toy import toy as toy
