/* math-lookup-inl.h: exp, log and tanh where a register or two hold a table (AVX-512); the other
 * instruction sets have the formulas of math-inl.h, which takes these in their place.
 *
 * The domain is cut into PIECES, and vlookup fetches the constants of each lane's piece: on a piece
 * a short polynomial is enough, and no division is needed. What a table gives enters the result
 * unrounded: as a sum of two numbers (exp), or because the piece's own point is chosen where the
 * function is all but a number of the format (log, tanh), as in S. Gal and B. Bachelis, ACM
 * Transactions on Mathematical Software 17 (1991). The polynomials interpolate at Chebyshev's
 * points; the exponent is that of their error relative to the result. */

#undef PIECES
#undef PIECE_BITS
#undef LN2_PIECE_HIGH
#undef LN2_PIECE_LOW
#define PIECES (2 * LANES)
#define PIECE_BITS F32_F64(5, 4)
#define LN2_PIECE_HIGH F32_F64(2.1652222e-02f, 0.04332169878489367) /* of ln(2) / PIECES */
#define LN2_PIECE_LOW F32_F64(8.627713e-06f, 1.0291218489310676e-13)

#ifdef TG_F32

/* 2^(j / PIECES), rounded, and what was lost. */
static const float NAME(exp_pieces)[2][PIECES] = {
    {
        1e+00f, 1.0218972e+00f, 1.0442737e+00f, 1.0671405e+00f, 1.0905077e+00f, 1.1143868e+00f,
        1.1387886e+00f, 1.1637249e+00f, 1.1892071e+00f, 1.2152474e+00f, 1.2418578e+00f,
        1.269051e+00f, 1.2968396e+00f, 1.3252367e+00f, 1.3542556e+00f, 1.38391e+00f,
        1.4142135e+00f, 1.4451808e+00f, 1.4768262e+00f, 1.5091645e+00f, 1.5422108e+00f,
        1.5759809e+00f, 1.6104903e+00f, 1.6457555e+00f, 1.6817929e+00f, 1.7186193e+00f,
        1.7562522e+00f, 1.7947091e+00f, 1.8340081e+00f, 1.8741677e+00f, 1.9152066e+00f,
        1.9571441e+00f,
    },
    {
        0, -4.81156e-08f, 4.83347e-08f, -5.933752e-08f, -1.307754e-08f, -5.43554e-08f,
        5.3862223e-08f, -4.0514415e-08f, 3.7976353e-08f, -3.267395e-08f, 4.496838e-08f,
        1.4193333e-09f, -4.0189995e-08f, -3.4963733e-08f, -1.0123349e-08f, -5.8755774e-08f,
        2.4203235e-08f, 3.3242e-08f, -4.500899e-08f, -2.4959373e-08f, 8.070905e-09f,
        -5.6610254e-08f, 9.836217e-09f, -5.124972e-08f, -2.4755327e-08f, -4.8496176e-08f,
        -9.23577e-09f, -1.1415045e-08f, -1.1239278e-08f, -4.6630056e-08f, 9.845328e-09f,
        -1.7021804e-08f,
    },
};

/* (e^r - 1 - r) / r^2, |r| <= ln(2) / 64: 2^-31. */
static const float NAME(exp_piece_table)[] = {
    5.0000244e-01f, 1.6666715e-01f,
};

/* c, and -log c to 2^-4 ulp, for the piece whose number is in the mantissa's leading bits: a
 * multiple of 2^-17, so that its sum with k LN2_HIGH is exact. Next to 1, c is 1. */
static const float NAME(log_pieces)[2][PIECES] = {
    {
        1e+00f, 9.5578045e-01f, 9.258725e-01f, 9.011943e-01f, 8.778299e-01f, 8.535852e-01f,
        8.3055484e-01f, 8.1072724e-01f, 7.904799e-01f, 7.7181506e-01f, 7.52976e-01f,
        7.3555017e-01f, 7.1851116e-01f, 7.028636e-01f, 6.8844384e-01f, 6.738828e-01f,
        1.3209697e+00f, 1.292478e+00f, 1.2672181e+00f, 1.2427363e+00f, 1.2181047e+00f,
        1.195365e+00f, 1.1713773e+00f, 1.1529353e+00f, 1.1314639e+00f, 1.1174376e+00f,
        1.0942955e+00f, 1.0754822e+00f, 1.0568392e+00f, 1.042083e+00f, 1.0265534e+00f, 1e+00f,
    },
    {
        0, 4.522705e-02f, 7.701874e-02f, 1.04034424e-01f, 1.3030243e-01f, 1.5830994e-01f,
        1.8566132e-01f, 2.0982361e-01f, 2.3511505e-01f, 2.5901031e-01f, 2.8372192e-01f,
        3.0713654e-01f, 3.3057404e-01f, 3.5259247e-01f, 3.7332153e-01f, 3.946991e-01f,
        -2.783661e-01f, -2.5656128e-01f, -2.3682404e-01f, -2.1731567e-01f, -1.9729614e-01f,
        -1.7845154e-01f, -1.5818024e-01f, -1.423111e-01f, -1.2351227e-01f, -1.1103821e-01f,
        -9.011078e-02f, -7.2769165e-02f, -5.5282593e-02f, -4.122162e-02f, -2.620697e-02f, 0,
    },
};

/* (log(1 + r) - r) / r^2, -1/61 <= r <= 1/32: 2^-31. */
static const float NAME(log_piece_table)[] = {
    -5e-01f, 3.3333445e-01f, -2.5003788e-01f, 1.9516024e-01f,
};

/* b; tanh b, to a quarter of an ulp; and (tanh(b + t) - tanh b) / t in t: 2^-26. */
static const float NAME(tanh_pieces)[7][PIECES] = {
    {
        1.1269531e+00f, 1.3722656e+00f, 1.629375e+00f, 1.8744531e+00f, 2.1252344e+00f,
        2.3735156e+00f, 2.6264062e+00f, 2.8739061e+00f, 3.2471876e+00f, 3.7482812e+00f,
        4.2498436e+00f, 4.7496877e+00f, 5.2478123e+00f, 5.7498436e+00f, 6.2501564e+00f,
        6.75e+00f, 7.5125e+00f, 8.5625e+00f, 9.5625e+00f, 1.05e+01f, 1.15e+01f, 1.25e+01f,
        1.35e+01f, 1.45e+01f, 0, 1.865625e-01f, 3.121875e-01f, 4.3601564e-01f, 5.6417966e-01f,
        6.907422e-01f, 8.126953e-01f, 9.3597656e-01f,
    },
    {
        8.099739e-01f, 8.792075e-01f, 9.259725e-01f, 9.539961e-01f, 9.7188574e-01f,
        9.8279446e-01f, 9.895889e-01f, 9.936408e-01f, 9.969807e-01f, 9.9889064e-01f,
        9.99593e-01f, 9.998502e-01f, 9.999447e-01f, 9.9997973e-01f, 9.9999255e-01f,
        9.9999726e-01f, 9.999994e-01f, 9.9999994e-01f, 1e+00f, 1e+00f, 1e+00f, 1e+00f, 1e+00f,
        1e+00f, 0, 1.8442774e-01f, 3.0242583e-01f, 4.1033638e-01f, 5.11072e-01f, 5.984586e-01f,
        6.7107445e-01f, 7.333682e-01f,
    },
    {
        3.4394228e-01f, 2.2699419e-01f, 1.4257489e-01f, 8.9891404e-02f, 5.5438105e-02f,
        3.4115043e-02f, 2.0713776e-02f, 1.2677997e-02f, 6.0294312e-03f, 2.2174933e-03f,
        8.1379677e-04f, 2.9954952e-04f, 1.1062266e-04f, 4.0532228e-05f, 1.490184e-05f,
        5.4838215e-06f, 1.1934114e-06f, 1.461476e-07f, 1.9778929e-08f, 0, 0, 0, 0, 0, 1e+00f,
        9.6598643e-01f, 9.0853864e-01f, 8.3162403e-01f, 7.388054e-01f, 6.418473e-01f,
        5.496591e-01f, 4.6217105e-01f,
    },
    {
        -2.7858567e-01f, -1.9957583e-01f, -1.3202074e-01f, -8.575609e-02f, -5.3879462e-02f,
        -3.352802e-02f, -2.0498075e-02f, -1.2597341e-02f, -6.010931e-03f, -2.214917e-03f,
        -8.134218e-04f, -2.994884e-04f, -1.1061055e-04f, -4.0529198e-05f, -1.4900916e-05f,
        -5.4835073e-06f, -1.1923307e-06f, -1.4602577e-07f, -1.976244e-08f, 0, 0, 0, 0, 0,
        2.5471202e-08f, -1.7815441e-01f, -2.747652e-01f, -3.4124532e-01f, -3.7758258e-01f,
        -3.8411897e-01f, -3.688622e-01f, -3.3894163e-01f,
    },
    {
        1.1100087e-01f, 9.98017e-02f, 7.472359e-02f, 5.184721e-02f, 3.388537e-02f,
        2.1579592e-02f, 1.3380063e-02f, 8.291288e-03f, 3.983352e-03f, 1.4734181e-03f,
        5.418579e-04f, 1.9960632e-04f, 7.373702e-05f, 2.701928e-05f, 9.934081e-06f,
        3.6557653e-06f, 7.946486e-07f, 9.698625e-08f, 1.3125664e-08f, 0, 0, 0, 0, 0,
        -3.3333975e-01f, -2.8913784e-01f, -2.1974967e-01f, -1.371813e-01f, -5.3297568e-02f,
        1.5929572e-02f, 6.4314224e-02f, 9.4511546e-02f,
    },
    {
        3.316085e-03f, -2.1008037e-02f, -2.5105909e-02f, -2.086405e-02f, -1.4983883e-02f,
        -1.0047142e-02f, -6.4205406e-03f, -4.048304e-03f, -1.986512e-03f, -7.408885e-04f,
        -2.7329504e-04f, -1.0078482e-04f, -3.7244386e-05f, -1.365009e-05f, -5.0189874e-06f,
        -1.8470299e-06f, -4.1470773e-07f, -5.0576897e-08f, -6.8448425e-09f, 0, 0, 0, 0, 0,
        2.3491816e-04f, 1.12420715e-01f, 1.5769276e-01f, 1.6973887e-01f, 1.5291964e-01f,
        1.1845281e-01f, 7.982993e-02f, 4.3750856e-02f,
    },
    {
        -3.1982355e-02f, -9.506865e-03f, 1.4356236e-03f, 4.609944e-03f, 4.483359e-03f,
        3.4192288e-03f, 2.3481494e-03f, 1.5311552e-03f, 7.69232e-04f, 2.919898e-04f,
        1.0860559e-04f, 4.0124753e-05f, 1.4793187e-05f, 5.441534e-06f, 2.0020398e-06f,
        7.3660436e-07f, 1.6737708e-07f, 2.2283828e-08f, 3.0157918e-09f, 0, 0, 0, 0, 0,
        1.3103324e-01f, 9.6635364e-02f, 4.5528796e-02f, -5.9143044e-03f, -4.3599974e-02f,
        -6.1657287e-02f, -6.269904e-02f, -5.309809e-02f,
    },
};

#else

/* 2^(j / PIECES), rounded, and what was lost. */
static const double NAME(exp_pieces)[2][PIECES] = {
    {
        1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916, 1.189207115002721,
        1.241857812073484, 1.2968395546510096, 1.3542555469368927, 1.4142135623730951,
        1.4768261459394993, 1.5422108254079407, 1.6104903319492543, 1.681792830507429,
        1.7562521603732995, 1.8340080864093424, 1.9152065613971474,
    },
    {
        0.0, 8.551889705537965e-17, -3.046782079812471e-17, 8.912812676025408e-17,
        3.982015231465646e-17, 4.658027591836937e-17, 2.5382502794888315e-17,
        7.70094837980299e-17, -9.667293313452913e-17, -3.483994556892796e-17,
        7.949834809697621e-17, 2.4707192569797888e-17, 8.199010020581497e-17,
        2.960140695448873e-17, 3.283107224245627e-17, -1.0619946056195963e-16,
    },
};

/* (e^r - 1 - r) / r^2, |r| <= ln(2) / 32: 2^-64. */
static const double NAME(exp_piece_table)[] = {
    0.5000000000000001, 0.16666666666666669, 0.041666666663595475, 0.00833333333299209,
    0.0013889063440655335, 0.0001984146378747763,
};

/* c, and -log c to 2^-4 ulp, for the piece whose number is in the mantissa's leading bits: a
 * multiple of 2^-43, so that its sum with k LN2_HIGH is exact. Next to 1, c is 1. */
static const double NAME(log_pieces)[2][PIECES] = {
    {
        1.0, 0.9145834738987568, 0.8659434565082519, 0.8219513061641627, 0.778824500630783,
        0.7413587582974035, 0.7117261903870474, 0.6818915536030744, 1.3139626367104216,
        1.2547610641672509, 1.2109824074546203, 1.161860785496753, 1.1185412844487324,
        1.0813286092923606, 1.0509252976395942, 1.0,
    },
    {
        0.0, 0.08928653713337553, 0.14393566526700852, 0.19607412392372225, 0.24996954651464875,
        0.29927061660339405, 0.3400620055970194, 0.38288464609468065, -0.2730474848867743,
        -0.22694516734009085, -0.19143193717775375, -0.1500228453115824, -0.1120254118155799,
        -0.07819047885698183, -0.0496710119563204, 0.0,
    },
};

/* (log(1 + r) - r) / r^2, -1/32 <= r <= 1/16: 2^-59. */
static const double NAME(log_piece_table)[] = {
    -0.5, 0.33333333333333376, -0.25000000000018174, 0.1999999999980953, -0.1666666659013059,
    0.14285713842652067, -0.1250010459171876, 0.1111286813011747, -0.09961767838865372,
    0.07922051766601496,
};

#endif

/* exp(x) * 2^k, small k. x = (n / PIECES) ln 2 + r, and the number of the piece is n's last bits,
 * which are the last bits of its sum with TG_INTEGER; vscale2 takes the floor of n / PIECES + k. */
WORD V NAME(exp_scaled)(V x, V k)
{
    V magic = vset(TG_INTEGER + TG_INTEGER / 2);
    x = vmax(vset(EXP_LEAST), vmin(vset(EXP_GREATEST), x));
    V number = vfma(x, vset(LOG2E * PIECES), magic);
    V n = number - magic;
    V r = vfma(n, vset(-LN2_PIECE_LOW), vfma(n, vset(-LN2_PIECE_HIGH), x));
    V p = vfma(r * r, POLYNOMIAL(r, NAME(exp_piece_table)), r);
    V power = vlookup(NAME(exp_pieces)[0], number);
    V e = vfma(power, p, vlookup(NAME(exp_pieces)[1], number)) + power;
    return vscale2(e, vfma(n, vset((T)1 / PIECES), k));
}

/* e^x. */
WORD V vexp(V x)
{
    return NAME(exp_scaled)(x, vzero());
}

/* Natural logarithm: x = 2^k m, 3/4 <= m < 3/2, and log m = log(1 + r) - log c with r = c m - 1.
 * The sum of the two large terms, k LN2_HIGH - log c, is exact, and what adding r to it loses is
 * given back. */
WORD V vlog(V x)
{
    V m = vmantissa_near_1(x);
    V k = vexponent(x) - vexponent(m);
    V number = vbits_shr(m, TG_MANTISSA_BITS - PIECE_BITS);
    V r = vfma(m, vlookup(NAME(log_pieces)[0], number), vset(-1));
    V high = vfma(k, vset(LN2_HIGH), vlookup(NAME(log_pieces)[1], number));
    V sum = high + r;
    V tail = vfma(k, vset(LN2_LOW), (high - sum) + r);
    tail = vfma(r * r, POLYNOMIAL(r, NAME(log_piece_table)), tail);
    return vlog_edges(x, sum + tail);
}

#ifdef TG_F32

/* Hyperbolic tangent: on a piece a polynomial of degree 5. The pieces are those of the mantissa of
 * 1 + |x|, in three bits, and of its exponent, in two: 1/8 wide below 1, and wider where tanh is
 * flatter. The first has b = 0, so that tanh x is x and a correction. */
WORD V vtanh(V x)
{
    V a = vmin(vset(14), vabs(x));
    V number = vbits_shr(a + vset(1), TG_MANTISSA_BITS - 3);
    V t = a - vlookup(NAME(tanh_pieces)[0], number);
    V sum = vlookup(NAME(tanh_pieces)[6], number);
    for (size_t i = 5; i > 0; i--) {
        sum = vfma(sum, t, vlookup(NAME(tanh_pieces)[i], number));
    }
    return vcopysign(sum, x);
}

#endif
