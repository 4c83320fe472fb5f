"""A page in the browser: lip-sync, and a model of one person. Needs Gradio (the extra `app`)."""
