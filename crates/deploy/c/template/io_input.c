/* Divides by the scale, rounds half away from zero, adds the zero point and saturates. */
static @INPUT_TYPE@ quantize@SUFFIX@(float value)
{
    const volatile float quotient = value / @PREFIX@_@INPUT@_SCALE;
    const float x = quotient;
    int32_t integer;
    float fraction;

    if (!(x > -100000.0f)) {
        return (@INPUT_TYPE@)(x <= -100000.0f ? @INPUT_MIN@ : @PREFIX@_@INPUT@_ZERO_POINT);
    }
    if (x >= 100000.0f) {
        return @INPUT_MAX@;
    }
    integer = (int32_t)x;
    fraction = x - (float)integer;
    if (fraction >= 0.5f) {
        integer++;
    } else if (fraction <= -0.5f) {
        integer--;
    }
    integer += @PREFIX@_@INPUT@_ZERO_POINT;
    return (@INPUT_TYPE@)(integer < @INPUT_MIN@ ? @INPUT_MIN@ : integer > @INPUT_MAX@ ? @INPUT_MAX@ : integer);
}

@QUANTIZE_INPUT@
void @NAME@_quantize_preprocessed@SUFFIX@(const float *values, @INPUT_TYPE@ *input)
{
@QUANTIZE_PREPROCESSED@}
