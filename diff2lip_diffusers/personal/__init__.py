"""A model of one person's face: from a few videos of the person to a pipeline folder."""
