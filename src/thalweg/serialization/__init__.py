"""Model files: modules of this package as tensors and a JSON description, there and back."""

from thalweg.serialization.model_file import FORMAT as FORMAT
from thalweg.serialization.model_file import load as load
from thalweg.serialization.model_file import load_leaves as load_leaves
from thalweg.serialization.model_file import save as save
from thalweg.serialization.model_file import save_leaves as save_leaves
