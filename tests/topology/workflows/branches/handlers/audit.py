def record(inputs, context):
    return {}
