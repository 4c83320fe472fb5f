"""The live face as a part of other programs; each file needs the package that it is named after."""
