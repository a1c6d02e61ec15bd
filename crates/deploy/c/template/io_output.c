void @NAME@_dequantize_@OUTPUT@(const @OUTPUT_TYPE@ *output, float *values)
{
@DEQUANTIZE_OUTPUT@}
@DEFINITIONS@
