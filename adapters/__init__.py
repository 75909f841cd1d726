"""Where SafeGen meets pipelines: one module or folder for each, imported as `safegen.adapters`."""
