/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed keys for tests, made once with `openssl genrsa`; they protect nothing. Using them keeps key
 * generation, up to a second each, out of every test but one.
 */
#ifndef TEST_KEYS_H
#define TEST_KEYS_H

/* RSA-2048, PKCS#1. */
#define TEST_KEY_A_PKCS1                                                                           \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                            \
    "MIIEogIBAAKCAQEAxCWBfAkoZihZueri2DSZOMthmlWt2Km/xYEN1yt/CvEaCtFo\n"                           \
    "/wEXYJj6N6ldFjALnSuFEPZi+fbcK3W3nMbpFBm1DhW09eRKrIHeTedibIWHWEtW\n"                           \
    "yN7SgV53FF9ySyrCFpAaGqibyMmKEhnYwhEFSuWhWfVJUWp+wP9IKjQMXEvQvb4F\n"                           \
    "h6FGobBEvjsbp9MMmEH1bOG/CwjgP2Oso1k6WjsGpbuwc74aTI46sPb6sBJKOMw4\n"                           \
    "/zDhBVC3XvKEyWfxySmaJWKAjEfPkTo6bTa/o1IYEMH8silPecnTNHicg3NpP/1G\n"                           \
    "jQfMiDlVMyUOSpT1jlb/LtO3qb8uXBG46306LQIDAQABAoIBAAMtfQqDgXewUVQB\n"                           \
    "M4XCjVcc5n0dDbWaJOTayPs2ZMef0JAG0/XNE6dUwyEvAfnAc16TBv3gntjgMRL9\n"                           \
    "vkE52GejLJmqH+8t4XlxFIJ0ozcplTUzcAXmKjy+vPg6vT7hBui/GNtDR4C6RNqU\n"                           \
    "7sITo80AR8ymFH0quX0ehaP9ZOBAREsM1bngHI8Gr4nf59j2UkHDiW2IObf7Z6E5\n"                           \
    "Gf2NUeet1jr7SyimNIyJz4CdzW2aB311/GX0FzAFAqGuJggTgwoKoWTAcVmcR1Fw\n"                           \
    "W3vrIS7k7I94PXbYggkByf1mY2wsv9LWNU23ilJHk3P9hI7aFwMeYkQ2Uml0h/De\n"                           \
    "tMoBm3cCgYEA/zh2jsSVIUpz0shQELjuLWQaFzG8NxUpmTbmL2bdM+8D3UorO4AO\n"                           \
    "l33ZdtyTv5gqrX1kwFFZpjOdMOnuYJ1gzjfH/3ORjzw7GqdYvaSqTsCpZvc2OT3B\n"                           \
    "dTy9rg7a+8SBPTgAD8t8lGqNO9nbpFX4UxID9CVxJd75bu6FIFWCOA8CgYEAxL7b\n"                           \
    "ec404CXkbzUsH9go7w0B2K4mVmVaF6bxp5tLND95r1iXKx8i2QWJOPoeCxa/52TH\n"                           \
    "9903c7IM5uQnZW5V1EBfOGN+Wo7BE8YkYu9VtlZ0NujGMTLFnf8cre2IzwBoPmAU\n"                           \
    "dvwsFDdS8JWirXbkgguykD8KUg3N764sKHH+TgMCgYAWpzNWvroh51Lafa8lnNR/\n"                           \
    "MOhj8KUtGnLDx6ysvmuZ5XgpVyD5OgeRiLkZpMB0fBQlrACaVV4os2IbalgfOTjT\n"                           \
    "dP4KfX6JASaZ2gq1Yn0/WjhvDDhC4mled5K6dVUYjbuO7H6M6FnZbo+0pUSqlHrj\n"                           \
    "HLE/JWeineTz5LXqRcy2HwKBgEEQQPKaH+BUh6PDONFbIcZUTd0DUohVwiJ6QgZE\n"                           \
    "k+02ZJ55NJy9EkAk1YlzJYZTQqlaKcstbA4lvqCIqQKhJ18m3pZ+SKXX+b/5UcUq\n"                           \
    "EvVWx930wr44ZSPn3ush15FlOBQQoBPtNwKEfTg0s/Sbkdvz1FxhjJ8wE3+E4POL\n"                           \
    "JydTAoGAVNWlfwG4ILHeuoGuG5e8z2s80rLEgcB2uml9Ip2pEpPFPvAfQtV4kjCk\n"                           \
    "LzsoD6mtBcXCp0fWRwjueARmeLTbnk0Tk8aGO5yCtpIEp6vOK6ioW2z5b45J/1rn\n"                           \
    "9iV3WPli45VUzSkKLM3WHmfA+t9jMQrcjsf18Uk9KP7J5I6iM18=\n"                                       \
    "-----END RSA PRIVATE KEY-----\n"

/* The same key in PKCS#8. */
#define TEST_KEY_A_PKCS8                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDEJYF8CShmKFm5\n"                           \
    "6uLYNJk4y2GaVa3Yqb/FgQ3XK38K8RoK0Wj/ARdgmPo3qV0WMAudK4UQ9mL59twr\n"                           \
    "dbecxukUGbUOFbT15Eqsgd5N52JshYdYS1bI3tKBXncUX3JLKsIWkBoaqJvIyYoS\n"                           \
    "GdjCEQVK5aFZ9UlRan7A/0gqNAxcS9C9vgWHoUahsES+Oxun0wyYQfVs4b8LCOA/\n"                           \
    "Y6yjWTpaOwalu7BzvhpMjjqw9vqwEko4zDj/MOEFULde8oTJZ/HJKZolYoCMR8+R\n"                           \
    "OjptNr+jUhgQwfyyKU95ydM0eJyDc2k//UaNB8yIOVUzJQ5KlPWOVv8u07epvy5c\n"                           \
    "EbjrfTotAgMBAAECggEAAy19CoOBd7BRVAEzhcKNVxzmfR0NtZok5NrI+zZkx5/Q\n"                           \
    "kAbT9c0Tp1TDIS8B+cBzXpMG/eCe2OAxEv2+QTnYZ6Msmaof7y3heXEUgnSjNymV\n"                           \
    "NTNwBeYqPL68+Dq9PuEG6L8Y20NHgLpE2pTuwhOjzQBHzKYUfSq5fR6Fo/1k4EBE\n"                           \
    "SwzVueAcjwavid/n2PZSQcOJbYg5t/tnoTkZ/Y1R563WOvtLKKY0jInPgJ3NbZoH\n"                           \
    "fXX8ZfQXMAUCoa4mCBODCgqhZMBxWZxHUXBbe+shLuTsj3g9dtiCCQHJ/WZjbCy/\n"                           \
    "0tY1TbeKUkeTc/2EjtoXAx5iRDZSaXSH8N60ygGbdwKBgQD/OHaOxJUhSnPSyFAQ\n"                           \
    "uO4tZBoXMbw3FSmZNuYvZt0z7wPdSis7gA6Xfdl23JO/mCqtfWTAUVmmM50w6e5g\n"                           \
    "nWDON8f/c5GPPDsap1i9pKpOwKlm9zY5PcF1PL2uDtr7xIE9OAAPy3yUao072duk\n"                           \
    "VfhTEgP0JXEl3vlu7oUgVYI4DwKBgQDEvtt5zjTgJeRvNSwf2CjvDQHYriZWZVoX\n"                           \
    "pvGnm0s0P3mvWJcrHyLZBYk4+h4LFr/nZMf33Tdzsgzm5CdlblXUQF84Y35ajsET\n"                           \
    "xiRi71W2VnQ26MYxMsWd/xyt7YjPAGg+YBR2/CwUN1LwlaKtduSCC7KQPwpSDc3v\n"                           \
    "riwocf5OAwKBgBanM1a+uiHnUtp9ryWc1H8w6GPwpS0acsPHrKy+a5nleClXIPk6\n"                           \
    "B5GIuRmkwHR8FCWsAJpVXiizYhtqWB85ONN0/gp9fokBJpnaCrVifT9aOG8MOELi\n"                           \
    "aV53krp1VRiNu47sfozoWdluj7SlRKqUeuMcsT8lZ6Kd5PPktepFzLYfAoGAQRBA\n"                           \
    "8pof4FSHo8M40VshxlRN3QNSiFXCInpCBkST7TZknnk0nL0SQCTViXMlhlNCqVop\n"                           \
    "yy1sDiW+oIipAqEnXybeln5Ipdf5v/lRxSoS9VbH3fTCvjhlI+fe6yHXkWU4FBCg\n"                           \
    "E+03AoR9ODSz9JuR2/PUXGGMnzATf4Tg84snJ1MCgYBU1aV/Abggsd66ga4bl7zP\n"                           \
    "azzSssSBwHa6aX0inakSk8U+8B9C1XiSMKQvOygPqa0FxcKnR9ZHCO54BGZ4tNue\n"                           \
    "TROTxoY7nIK2kgSnq84rqKhbbPlvjkn/Wuf2JXdY+WLjlVTNKQoszdYeZ8D632Mx\n"                           \
    "CtyOx/XxST0o/snkjqIzXw==\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

/* Its public half. */
#define TEST_KEY_A_PUBLIC                                                                          \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxCWBfAkoZihZueri2DSZ\n"                           \
    "OMthmlWt2Km/xYEN1yt/CvEaCtFo/wEXYJj6N6ldFjALnSuFEPZi+fbcK3W3nMbp\n"                           \
    "FBm1DhW09eRKrIHeTedibIWHWEtWyN7SgV53FF9ySyrCFpAaGqibyMmKEhnYwhEF\n"                           \
    "SuWhWfVJUWp+wP9IKjQMXEvQvb4Fh6FGobBEvjsbp9MMmEH1bOG/CwjgP2Oso1k6\n"                           \
    "WjsGpbuwc74aTI46sPb6sBJKOMw4/zDhBVC3XvKEyWfxySmaJWKAjEfPkTo6bTa/\n"                           \
    "o1IYEMH8silPecnTNHicg3NpP/1GjQfMiDlVMyUOSpT1jlb/LtO3qb8uXBG46306\n"                           \
    "LQIDAQAB\n"                                                                                   \
    "-----END PUBLIC KEY-----\n"

/* Another RSA-2048. */
#define TEST_KEY_B_PKCS1                                                                           \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                            \
    "MIIEogIBAAKCAQEAvrOmXSDvgJS5T88muA4ArVHbZ/iKf90jY3TNwzqPWPl98y+1\n"                           \
    "5+8iqkLJDSE3wep3BPRZmhEMAO3VtlT9Xv5SOFS3JskSODK1QWswUyv/03Uidxzh\n"                           \
    "R3bnSHo7DrPzJpUvjj9OgXOe2D3HyfG5RCqo9Mk4+CKobOn4jx6f0oJsdAShJCnI\n"                           \
    "xIDYaDR4oUUe7krpkmtyriYkmnJbo6NzSG9lKR2T3r/Fv+5F0caMkEnBYquewhjk\n"                           \
    "82GBx0h7h9OSf7WBUiyRZ/ySHBasUKuQwGna4gVXjRYd/1DatqRhhpg11SW6OTYx\n"                           \
    "HzmsJFXp4aiBxc6nVgCyBg1CBltQllyrkN/0sQIDAQABAoIBAAsA85w3b5xtMHtv\n"                           \
    "f/viMnWtxc3MNoUp394v9eTCSPXUyRjGf64BM2BMy9w0JssLnfghJ5erTMSTtKeB\n"                           \
    "hFB2Ny0xDbOpKeIIYoMypbph3UBQx6ck+WaJ0M8CvwxCU8kd1f10r5FqiA+REol3\n"                           \
    "d0XMupyrzPvL56knr8AF38naPNrtlSkQLJOMsryVuPqMxz1tb1V4/si7butibkHR\n"                           \
    "tGOmBPHrKBLWE9F+MpNxaIEROflGc2k21+0cXKMKjUBwOQ/7//mIgt5EOaTf8YAX\n"                           \
    "O28miVrpa3+7XDMP7dlxYaXzaWppNVo9MzEm5M5Z91GL3FUSa65QAvfOCkFPnq4J\n"                           \
    "652rGeECgYEA6uqQcX30mpQsPC1Ux7lxs/nuLJGTrpPIl+fiB8a1P351cocSfP0T\n"                           \
    "tIBQubkiNMlRcrLJAsxhl4Y2dNVlHewWEat3vZ7L+4Iyp/Z16dpjVzVdWGJzKwkq\n"                           \
    "3QPMJEtJO9Ysyr5jQD7yu5D/gvsiCNBE5Mu4xV5vzFP2DlU273RBCWECgYEAz9E2\n"                           \
    "j8zOVivnzhapF1mhQLzxaEzRGq+Gt7aHTyj/6Bvl97fFVwpZXQ0JZMitWFhrSoIM\n"                           \
    "rAtingV3q41hv9zamgxhK0hBN9ktWGzlJV5VUCoyy0mrDDe71v49OVz3epkkxtkp\n"                           \
    "B9gEOjEmb4fvthb52DiiSgvrj5wFj7kLY+e8HVECgYBG1xNV1ijUEIjCYN0nGWoL\n"                           \
    "XvwO3puNUq1z+Y400BxKGGVscwUFQgAWN3egeg6xol/4Wae6O03WtrdnRg6nFlGV\n"                           \
    "ZILIYMGch6ek9PKb4aqBWutaQt3+BVayrXl7HGTqMWzyerVNY24pV9FlezvJMp0D\n"                           \
    "7dc7VX4bPNp/ef0F+qW+IQKBgHe5U/GsUAMc8EKuk2O8Y0XklD8+Ygk5ricQpQtZ\n"                           \
    "13Rk/iukV7A5ahpNdGf3pMYMymL2YU6MkJfxFmxi2zmphtbQ4voIemouWA1lTu4k\n"                           \
    "VooEhZbQLhav1Sua9LKjeH/M0n8shJLcRDMyNa5zZgpFWlLS7cwy6damUB3owUMh\n"                           \
    "MiLBAoGAEiaSTLeEZSYLVAasuKVRu1kTHE2MegA+cwsQjqjA8uste4OxfOjZFET3\n"                           \
    "7yQtgZCvki2vizlKpX7FYfiqReKpUFRVl5oq71QimdgdjAGnRhZyvn/BaO1I9SKh\n"                           \
    "aj//Qw1ZBUb47265PpiD3CMnLQzSSLJ+Epd8QAQk3OmurTFUV0E=\n"                                       \
    "-----END RSA PRIVATE KEY-----\n"

/* The largest that is accepted. */
#define TEST_KEY_3072_PKCS8                                                                        \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIG/QIBADANBgkqhkiG9w0BAQEFAASCBucwggbjAgEAAoIBgQCrJbwEjOPr1xT7\n"                           \
    "7kRkjAhtTY0ewm4MY4Altu1glJIPN+zz4dQtiSU62GN2bpX01MXcLYbpD3YL29fQ\n"                           \
    "+KAVF7zHKpV+9uqxRi5kN0T36waLXyINGs6N4y8xLHWRprJQLhVaFzPJAsLP09R9\n"                           \
    "gqsmQ/O12qz0HUAQz84ne2H3M7paaQI+IPCaM/tOJqSZJL77cPlOXq3pqOzKi1pK\n"                           \
    "o0qQWrn8l+b0eXkDrz6fvyDAVoSYn/BUS7Nh8FZkD37FILCjLLI3hwsFtOlJGAha\n"                           \
    "V75/m7eeSR8Uy5nc03pe5Hjx3qeC/Hij6J9bRdHEqdnfxOEIHNymU23ptli+EmTO\n"                           \
    "f9WFeVYYfKbrwIrSCosP9/M3QYH5hpGP45wo/TBxZ9LMjKeRw/rNgYAPr87rnqXu\n"                           \
    "fW9gN9cLdfuJhtXsuTUG2XTf0j+Gg3LkzhDBoVI1L0Eh3GjHybKd5LA/0m/8qOee\n"                           \
    "k4h6Z/gD6QgF7thHpQ16atEpM0ws2ZGoZ9iP0en7FVfP2UpxzYcCAwEAAQKCAYAA\n"                           \
    "v2bAxSLLww7ggnjb0Mn91dkx3+fEkXy1hxHANCkmyUSooUoHGhj51rv2GcnGHe9w\n"                           \
    "ixksFHkccfOEtXyLJKVNxqK/jfGWU6tC0Ddl0KntjiO814SjSKSwomdjFJpyNwYf\n"                           \
    "dIfkrwJN3FJXazlqYeEDLUQUwiBanz9hAcat4ntEBz7PKaxGm2DtXvk+6AYWw1AV\n"                           \
    "Gdz8CKGVyVUPWJysE8SWbpo/ycLcrSicLXGsFW5GQmo1qN0AQDrVL6u+NB3bBwhA\n"                           \
    "bn4SOSaGkoTfyQcKfnkuHgeYwcuP+1+Gnjch7e2LyFgdVRYolsXB/mrBP7PfJnU9\n"                           \
    "2QKemfN9u8/QH/GDP4rIsBpvY+BMuseU2EB+BaHGt+b9EGri4EBe0pUp5Lv8Zgc+\n"                           \
    "ONnIJs1TaU60BbFqHj1zAIKvsriMxOwpMYQidKgSZW4dlmn9tMTm8/wl4MxiUF01\n"                           \
    "xN4MUiJsbqBg6tUmiajNiWRk8esqTypebbtZ/0zFV3ZX4nGa7CX5ChF/vf8GgAUC\n"                           \
    "gcEA8K8WqRHnpVntO83JvxKM/DfUvHI5677NNy2JneZ7WBcdgfnCLtcHB6aKTTuP\n"                           \
    "TEOR0QjvGefmTD6s5dtkrhUmStAlStukvPl5dlQ3LCvDm6AEc3yp1Z4Sr4j4+Yta\n"                           \
    "kfKWzSQaE/yHiJeh1h/6NX1CVOE38uhr/J9uLyYSY7m+nnzJrTYiwIzuBlVESc5A\n"                           \
    "hj4D97p8NsMcPydHb7aZFss/z9Di7jsfNDq6ygkAS/hCTPQQxMyQjnI74nY3nlk5\n"                           \
    "5xsDAoHBALYJ2LfSiEffJgY3T8JPsdbnbk1ykqlWNj0jQ0AQmvIJIAyPu5MlEh97\n"                           \
    "tin09WiTSU7Z8vQixhAXi0HUbI6OoYO82VonyqBOk9vHMytuoBlWUN/FrulKJrjh\n"                           \
    "opYGU5Y0P5BUz5UQeKS4DEuDyNnY7CAKFtPc34eY5ntakaHtSmeITf8OP0QWno1g\n"                           \
    "YUq8SQ+bqpiBGdjKWN3rfEmtkrDFGX4L3fkcJwiRgdEbpDgfFGN8/SLs1qe6+o74\n"                           \
    "9Ixw+3FaLQKBwA5t4MToDuQp3QAd2T98RDmGu1lE29YXTURGlZ6Cx9hDIoC9UXfv\n"                           \
    "ajt6L4Zr0K54ypAmofcCoRrnEwSAv6t0FySbD/FJ87lkl3SRnfEm+oYk9L9btO7a\n"                           \
    "mDIv2wVS5m4jhgjsZifWluWIeapVpnF4ffaKvgjxCDBP+pIXDTkvVI852flpanHy\n"                           \
    "wP5eNEbcd5/UrfY3FuVNky7yEuVOpCTqsHusAT7ZCojeEH62RW9IhekJJMw3m17+\n"                           \
    "2Do+bh0vKjqBswKBwG8NkL2L3YHjG4JdSfYjwj11kHAE/n35zzr7ATLbLnuLn5aq\n"                           \
    "NOdujSDRyu7Lts8mU2mcQsA3WpdElbsCSXuqfdQtaHe8oLutVDyWyJutcFQkuU/a\n"                           \
    "fHtrtjXByPs3PtT6aPC3HLA2jTMH6NBExEpKMLrXDNgQ/fjuCWWlegTMC0EgAV0h\n"                           \
    "Ju110yIycwgx12yDLc69q7P6tb4kw/z6u+vFQmkH+lHXn+R1SDn2X/ew1jJfdNpS\n"                           \
    "nB1VTzfbnuzynCKpvQKBwQDqQyW+/5G4qPa/4q+AwVkabEdWwVlv9fj3xlThOgcb\n"                           \
    "1Y2SIl0lT1NMKz763CuBH3kkwb5AX6AvsVPcHPuVCluFMy/jlp2Na4CllZSNIZux\n"                           \
    "aePKRGELkb6CicCtWyj4B3aJx5H5Wjd8nCFG9aPEfDJG0HUdRw/i+LmdOaGnyNSm\n"                           \
    "2LPxvGfsSZZtbIlv2S8A/aS684RjE5mr77j4z/zEPqVbk4EmNtaDm9rZEipa5a3x\n"                           \
    "qC3ABDWdlK5ZfqbsV+Hogyo=\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

/* Too small. */
#define TEST_KEY_1024                                                                              \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                            \
    "MIICXAIBAAKBgQCZa06Vnggec6xTZw1dKVz/G5PUMc0/gOVHH9kfk8KVqZfd7hFP\n"                           \
    "alUAyZeTSbGFNKpcnEbuXIdtvu3Y8l7qiAwZH1nAJCYd3OgjcQG558xq52i5pTB3\n"                           \
    "R13qAheYD5QBGQQo4cCpa5k3B7Nyb1Y5FxSetPcvRvipt8jN4PZHxak6wQIDAQAB\n"                           \
    "AoGBAItDbwg9dZ0+3zSuHOFuRK6F+ADsXCXC+V1AubUCSeXVFrgr/KacHSEj3WWj\n"                           \
    "xXLnRaXfbju83mpuoDUIfcRjTqaveoesDRG5U28R+OeiatND7O5AC8GJtOm2Ytca\n"                           \
    "IBcUywfjdeh88+H5phe0qesk+wrujhBu0ZT329aa8R9pb3BhAkEAywaaDymtGfUa\n"                           \
    "iVVVGrTTiK2WNpnbEo8BM2H31HSg5G1Wl2eWHkAw3Cu47Dw5r2eHPCTVWAn1k5eH\n"                           \
    "FCGRgZdO7QJBAMFzKPIILkHqeDlOWjNr29lAi/zuVoEwWsTcfIS6jeBSka3tB56S\n"                           \
    "/lB4C+GuDBzm9Beoo9eQ1Whpo3ITn7bpTKUCQEQ0vpLzfFzpE/YpPcMQFrSnJHzJ\n"                           \
    "aWittEiP1BOC7v5uoRWSTkNxazi8U47BmNuNm0ggU7AVAHSKBm5D7L8tlu0CQBQN\n"                           \
    "JLxZnrnUXNvLxEu6LVKKfzgbWDoR0ga/t+RmFdifllwJypVkNRoQJ2MgED9arQha\n"                           \
    "wYjRiV1GPdvQLujdq8UCQEt1jp4Zo13NTz6tEJ4g8EN3GHT+4v/oErIAY7F+gASx\n"                           \
    "fTON3/dllUZsp4jEqTX4lu27aDiCsgt9GSi6Tn6efZY=\n"                                               \
    "-----END RSA PRIVATE KEY-----\n"

/* Too big. */
#define TEST_KEY_4096                                                                              \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                            \
    "MIIJJwIBAAKCAgEAlCNdCIa5Yn2EBNOHbJ3cWCt+44fbLYts5wO6zb4efCUReH+b\n"                           \
    "jrNRZCeWrO9vBkO6MW1l8IQt5sO1ofS/0nDVgmDWZpW2iu0O1tP4W4BeDBCz/N56\n"                           \
    "hDIva4MaVMX1qxWJyatNlPJtY/Nk0gxi8EmLhdTRzO0hbVTagHQ0tIGtBdMfE/hi\n"                           \
    "9SSNmI8Y3MBQlrC3y7RNQeIctR1tY3ehhHh7B5i8VCXvp+tKvN9L4/k338aQoSkD\n"                           \
    "LxjwqC7GdcWIe6jQw0zr4BCcii+Fs5LzieySZbOfMUu4xBEgroU8H+ax4dbhugk0\n"                           \
    "21PjxzkBNRlCPuKBRRvp9l6xNMm9Kb4Hk7hvzkLVhrD2zy6kdwQpViI0Ri1SrBZK\n"                           \
    "OdAaXX9c27jkSnENV3d3wo5to/lfXhqABNn3mR4twJ8+s6JMz4EKFhe/KIFMdZiz\n"                           \
    "f7lb4Hv8Q3OWkdiNyT/DkGWY0Ojgr7eXkPp+qjxyuhHaLLZ7ycih9F/w/wXUozxA\n"                           \
    "o9m6fnrwa4mMQ4PDovARR+bpCVHpHGx8bNtxvQGGXpjZ3Ue6nSNkDePCdD9Bcf8G\n"                           \
    "VSddBq3KlcDgwKRBrUsil0KVDct0LxZyIkO5t9UU0mDDgrYyVwx/caGkSqMTDhed\n"                           \
    "dtfbTqfP8/8HmqC0K1u2lPmjKi+AeKdlGFRRPeZx0ua/yAP4+0innsJnwtMCAwEA\n"                           \
    "AQKCAgA4BR2H/Wa6y6typcmXNiVfBGfSRIyKryiqPftVFbnyiZQPRPZ/Ium7Hct5\n"                           \
    "r3wFWvRc/7lmmJ3BIC6eRe+KddgQG23I0oH7DIWpkPRhKeym1GQ0Uq/zMQVEu4no\n"                           \
    "GAp8vcLjDFBk7L6YZzEvy7ZYlv9Xx3DldaFH9qhAnnFV95oGU13zz+EgQkf3stmc\n"                           \
    "lW+EZOTEeHUk3oyroyq8TD+82FDyQPyrN8Nm9XBId4r79cF+8ti70UYed+h+OV4c\n"                           \
    "qGwiE2eLC5pBnBaOnUUK8R3/AQMlyaUAX9nJ744z4Teo+rU3KesnzpZ6AMHpE3IU\n"                           \
    "8e3e2Qo4p8M0w39w7n+F+xJjdwJ0YsqDKr2DfcGumRZDDCvMLpsSchMHXOXmcgwo\n"                           \
    "R1j9ACe03EgHV6wJV+3EWeLMmZVpiXt5z5DFVhe7ZiMHOqxGrc6VMtrek8J4cpO0\n"                           \
    "07okJYaFqPgrLffAOCy0eI1uEbKdIN9ayRsyR/N3zhk0fFThNUOYNB3Ox1PtMXur\n"                           \
    "GcSk/6Lhyw5DANTUr7378dj88znly/wvxrfnJOBLnrT4B65qjLiIKisiE/BBemDX\n"                           \
    "ibHu4Mf6wMrzebTTeY/PtgGVCttAZSDePV1S0u5eCvArRH6Xl1U70Y9MIBmOPEL1\n"                           \
    "AYbIPbG4purBj8MgVTdXDt1E88L/EoWtNM1E5k0DD6/qBMA4mQKCAQEAzYSJtZtc\n"                           \
    "n7I5puQ8nfNNw41IkmnJxSbmP2Ai6T2VIFg64Wje8NEr/A+veNdMMClXMfKyDFtr\n"                           \
    "z2hVxiuQy8yHMOaEPTc1z/ame6c5kqLfZEf3+5YGdqtNu0P+O+GIItnnn2R9h3o3\n"                           \
    "QL3DZzYhAUVTmcO2Ol096E7DI2++QT2uRmDAv8GoyMj6GFnW8cSN6W0HngV3Z7FV\n"                           \
    "h2LtlZVz262GdLxNdnHEh353U1cnPF1zfgWKILmlOpweTjy2EYAqswmuia6rfik1\n"                           \
    "CETLtgRVZvydjHewnI2dqW81kEaZlIDLVUkPGe3mdIdS/yLk8wytFGziyQp0JBTL\n"                           \
    "4gflwdmiEuf1ewKCAQEAuIanwuJc/iwI1MSEarSa3Y/EnEkUseyGqs2R29UAU4Z4\n"                           \
    "BxwpQ91w2NeMN6LRddqEb2okBcAgEoLI6BT9QXVJ9lFIqZyS+cr9fam7E3VICITw\n"                           \
    "Vl//I+SMt9tq2lsP0Y7CoQ72jG466eT4L+wfLBAU8kNkBBfvVW2wY2tJ9IBngiaS\n"                           \
    "EvmM/7Tqwti+LPQij00naAnP5767dn4jHq08L9saKj4Gji0CdvNybfHG+91niKJ/\n"                           \
    "KYEGmcJaUUcEB6IK2yegzEBGcHI2f1sIFrBtxKR2eNt32puvxDaEA5VNNcgMPRYw\n"                           \
    "OO1nNIl97bfWi1QzhZh/hVS9FtZ0TgISgiF8/GjsiQKCAQA1lhlSAPBls1LU8S3d\n"                           \
    "AVOFaZFCm9LAVSQz4h04M5ZumJLBs1Zt9BxD3NMj7v8uj5jsrRs/nZa+vbWftjxK\n"                           \
    "50lYtsJEM+EUGHvQQgoA8fbNbvZ54uRMjN33tgLUGjok3CxIoysX6AYAG3qXrsVs\n"                           \
    "T2c88IrTLPy3VdILq1cwK6UFNLUNSrF3qO+M6d/hqh5Wftc9nK9Fmjdy1ZidKBrN\n"                           \
    "bLFiPrbz6zYTHiZ+1HqmgrdaZJdfcQhj/9DnFW1josd/Z0bbH3AXtSbewRFcpESg\n"                           \
    "Vb2+onaqW0KAqz6MH9xrnCloU2Rcnms4dxBs9ew8c1GtwbZgNRmTTtjaVrTRlq1r\n"                           \
    "wI+BAoIBAFBU9uXlzBwvKW0PXKJjm+QG+c4cFrFayknDktNESI8URF68CM7tsXoF\n"                           \
    "ZJq3/D41cmBasfH68Tt9yl8W/CYqHJfqTRrh+i5bC75QTQwsi76BuWuxAQ8sKYLF\n"                           \
    "OCB1ck6Fuv+I1xbNykIXF2Eth2iUW7oYUothrCThyt+NTrXtzKIhjohKMfMEXQuU\n"                           \
    "dj51zjHaoeQuGV/Hbi8ovLtXKZOf7CUluY7d02vbkh6BGmJ9wdv++iMkc64uqUkn\n"                           \
    "BH8aMWW1O9CPztqXLliFVeEiz7bC7nyw9t2p13wxS4mPzvwx6foSFc5CtCJwFO2P\n"                           \
    "kgw4DPIFMMbn3CX8GMf5KPuT/qiYORkCggEAMNdQxjbXevtAEgxqOtjN3JCmQt6N\n"                           \
    "4rB0LoF69Y/1kFsr8MkQdDMsUOrEXZEY5tnkk8/B/+yip10tVIO/nJ/llC7K2jct\n"                           \
    "ZrzPQazN+wG1vqRubvDNJfcDItvu8uvvQSlFBolkxEV/iEvZPDfkD0wegdFcEDur\n"                           \
    "CCBMhK+lwUOj/SZzPRGkLoz78XizanWLVBcBEpDqkmRlQ+xc5h+2uTOONMbmr2Eo\n"                           \
    "P3eHehAX1luoWE3TKYuI7jPQV+wdPd6txigBZrGlpKQRCcjhW0Wn50FahiU2M7jt\n"                           \
    "BWwB5BQByS1jLWzBuX68YnSspVOiz0qr4JPRjZxq4vdw5zVLiIQi2W1pMg==\n"                               \
    "-----END RSA PRIVATE KEY-----\n"

/* P-256 in PKCS#8. */
#define TEST_KEY_EC                                                                                \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdVL7xAjp3eURdqCS\n"                           \
    "znfb1Z1vZBiJO4kuHLK+hC4tRnuhRANCAASH4qg1cbqSQNuFoJ36QVpot8Vawx7I\n"                           \
    "/z+E+LSrK5cLRKCHEKto/6UdW0Ub/Wd9dqeNtphqYHbMjZgf4sNx139v\n"                                   \
    "-----END PRIVATE KEY-----\n"

/* Its public half, the fingerprint of that, and the private scalar alone. */
#define TEST_KEY_EC_PUBLIC                                                                         \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh+KoNXG6kkDbhaCd+kFaaLfFWsMe\n"                           \
    "yP8/hPi0qyuXC0SghxCraP+lHVtFG/1nfXanjbaYamB2zI2YH+LDcdd/bw==\n"                               \
    "-----END PUBLIC KEY-----\n"
#define TEST_KEY_EC_FINGERPRINT "fbfa5a3ecbd9b3bee5381d9538749d7f6d0a6ba8b07596a532f99c892d570d53"
#define TEST_KEY_EC_SCALAR                                                                         \
    "\x75\x52\xfb\xc4\x08\xe9\xdd\xe5\x11\x76\xa0\x92\xce\x77\xdb\xd5"                             \
    "\x9d\x6f\x64\x18\x89\x3b\x89\x2e\x1c\xb2\xbe\x84\x2e\x2d\x46\x7b"

/* P-256 in SEC 1. */
#define TEST_KEY_EC_SEC1                                                                           \
    "-----BEGIN EC PRIVATE KEY-----\n"                                                             \
    "MHcCAQEEIHVS+8QI6d3lEXagks5329Wdb2QYiTuJLhyyvoQuLUZ7oAoGCCqGSM49\n"                           \
    "AwEHoUQDQgAEh+KoNXG6kkDbhaCd+kFaaLfFWsMeyP8/hPi0qyuXC0SghxCraP+l\n"                           \
    "HVtFG/1nfXanjbaYamB2zI2YH+LDcdd/bw==\n"                                                       \
    "-----END EC PRIVATE KEY-----\n"

/* Encrypted PKCS#8. */
#define TEST_KEY_ENCRYPTED                                                                         \
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                                      \
    "MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIFLqbMeg/ekMCAggA\n"                           \
    "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBCk5wVNeJbW9TO0TOA9C/X7BIIE\n"                           \
    "0PZmr51RrbnbCoce544bvHSyf/iNP5g70rexlk9HhayjUKuLxFsIPSyvy8GYaLmh\n"                           \
    "MhuTfmaE4R+vJ6JUwKgm8xQn+rr8h7L5TkJ5g9No+zFKYvMjT/3Tnkb3GJlmie8N\n"                           \
    "d5ejQksiPeHxtOUqNjusgu4SeeSB5ALzGpuBjUoybzA0dCFxueGIgF0jf9aOUAYl\n"                           \
    "UTQuuzDI3U/QiwyVc8X/ZnRxxqz9dBFpQNxOHJKt8DP1miitZppEqzVCue8nZS6c\n"                           \
    "ULBA/tt7b/jz7sp0FU0LueX1LwRHCdMpAQdmEJAeAq7/uGhp/JigUjj32BGHUvz3\n"                           \
    "3PuoT8xACwmz2W+TR9THRjNdDJ4svJOc/HsZH8cO/hdZ5mUDaaLNu4RriKvKBXCp\n"                           \
    "u1KiGyt8rPNVWWMhmaBqvS0COjUCWDKcMm+Vo09kJT1waWrNelZWtBWjNDEagJXn\n"                           \
    "ub0XtbVT5wv/5wWGhZOuHlJtOPD/NrRG4m0U0a+E2fMyJBrLaKBE97tZXUlxbu1A\n"                           \
    "kBb06NYa1ftyX17kJP7f8heKnMNtvf5edfhCUzzEx6lO8TSgSkvPU2+AS8SNBuRT\n"                           \
    "luapqNC2mOOr1pAHTGoVYp4TrRd3sNFLxGmJWkdXskX2bDOt2TXhiVtgghKVvEbI\n"                           \
    "XWqUGk9WZb5lyF1orhM/j25JGUAKzVtzkIUvHawcZ5hntcJ/mD1WGHb9wyiBuqAF\n"                           \
    "BVqGoWvIcakM5iTxbljuK9oNhrOh0U+10bApzxv2yrVB12uUdXO/sKxYIHbINU/5\n"                           \
    "nNCLsZQ+pQjQXv31eYKrm44/yX5LtNt1re6ou8WmxaS1b3g7xe4h9lryYYdnrpdy\n"                           \
    "tagNIbWyYZdWF2kN1UAn4eovr9CtZSZV70cxQbMRoGklunKz2+Wz1TUPexX9GfAU\n"                           \
    "RJVXF9dgKiSQweZrEDc/5VcKIuqHAIpB7CIpuut+EgBsFszD1234EduDsOnWs4uV\n"                           \
    "+3cS6px9ro1pn+JYudxR2rNd7h5tV2QASqrHNeA9W8u7XyP8DLPM1K5J66jK2845\n"                           \
    "kAlJLQs4d0/w9MqY1HAjyXpeFdRt37b2AnkIFK8L9fTaLLKbJrk6LB3APTb0op6G\n"                           \
    "GvwnJ9dbvZqAgBgOoqjMO2QUWoGF5jT5bhdwsoe4DLO3EH4cD8Mq4gAvcns1KSDo\n"                           \
    "fx/1Vxhss24a9Y6A+3SVs6kGqE9jOR0HiNEj2p8a06wgNlWaFXV9QrqkmYUoIEho\n"                           \
    "V45Vsnac9X+NhdWB+wzjncjp0Lbs2XBLgRJmxV6flYta3zgNvfZ5ix66sQoxGU4U\n"                           \
    "UQijtkrLf43KQ2Aqos8MEQMGu8OKu10Ura7+59BSR8gShVNnDCXWTHnnCmPoGw+H\n"                           \
    "5h/WPVcCrlXLO9b28GcJ9FJvVVqNnT3IDMTgGPNfRsVfLjH89bclvCuCTk1RSySD\n"                           \
    "6I6ClAh7bM1d31lycmhVSodN4UcfEZpE7cublRPaWFOoIfcf4c6imoyfFpfxo6ru\n"                           \
    "o3HCX1unY/axBVsF4wi0R/btcApaY05gahcTu3sXFgOHuSrbwny9b/x9XGZ66RmH\n"                           \
    "A/blsGGNFYkfN/OtwH7Lpvr3vz22gchxc7rzzfT9VWpHyTkXnb8l6h9/20sNqeh2\n"                           \
    "e2TYD6Wjcc9J0ezmacFwbW2dv0lXAyOtPo3cmE0bq+Id\n"                                               \
    "-----END ENCRYPTED PRIVATE KEY-----\n"

/* SHA-256 of the DER SubjectPublicKeyInfo of key A, by openssl. */
#define TEST_KEY_A_FINGERPRINT "ae27b04f09e5cad3773e1765063774230fdeaa30515ce48aa984cb9602b9fea7"

/* More nodes: RSA-2048, PKCS#8. */
#define TEST_KEY_C_PKCS8                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCPUn0O9vAGOHZ3\n"                           \
    "HZtC0UCSV/uDMuAdzg4K8rtrZdsKSCcJQSFCvcEBCLxHknJgOplKuZagemiuhSyT\n"                           \
    "VB/b6LzY2SP8m5PQEZoWYrwYDtCNLgJI3G3Yt0DNwxpBcXzX+m7j7De9EqyGzZrT\n"                           \
    "Kyat8AR9lNoipH8nxzeF+siPb+wkNMRogHsWX9XpgR6tIQFvI4CLAcCUU5fjukbi\n"                           \
    "QIdvCxs9sN7txEQuQ9w0EJVS2zZIsEpwgXq1gcYGffav+PWSFfMxmTPGdRxgFR26\n"                           \
    "qRBalFhWJteMb6e/dHYm5s+xnLK89shVKvDbRyQAVZDispiuw//dGkmmYbBkNpXN\n"                           \
    "5Esopb8XAgMBAAECggEAC+2rH+g4gOQJJA/QQMbmr2doNPqygXiJXarnI2CmUtw/\n"                           \
    "d3s2t/XQDvR5qyFKqKyn3nrEyRV3CfNmitqJDkX4Fbo4zwjpy/rzDqLoEb6F6AIo\n"                           \
    "yYSjFdLmr1lqIYE/CUC8Ivchinh36H5LQQEJ5pcf4I3Xe+Oh+58OhXWiZKHFjxu/\n"                           \
    "THXu7z0GFYNWiV9/Lewz2N7atmf8wJuTNjF3u8x64i4JH5zxH/QGOA4oAZxswTSd\n"                           \
    "d8D4eQ2Mm3UHK6UDYWuP0TZ4cdssMdpFnvlN/t16S3/YFOFsrZws0VRgHgZQOIMh\n"                           \
    "C3at0lG8iRCmPLZKD0VJ2+e+jBZPY6krWl6yRtgowQKBgQDAlYkg4J7uT86NObXN\n"                           \
    "Tjf1rB3+CU+SWN3zxncvmdlEklBVU8ipRcgAXI6T2OB0x1NICDrQemf24OaQSB8t\n"                           \
    "TwflNnd9K6jfMxCsKXKd06Fqfyu9pHylSiUuC7vR7CKU5L/IyQuvRF2h0sP0xVbm\n"                           \
    "C5apIoQlK1cr/Bw3T3jgEXEQVwKBgQC+hEVcdGl5ug/evaST4I5Xx6XluykLf6DM\n"                           \
    "NVthfRcN5yana8AC9xK+GwchYP2UBTrPX4CYEQAO+fXNHK1/xqLkzqYDF2C8IWEd\n"                           \
    "kVtiudmNyn1urmiBY41a2x4oTEwiK7GKHWUaimzP+t8nU5zCN3KnYBfqnoeYwPgh\n"                           \
    "XF3rAbCPQQKBgQCvTi/CjtX9pwYlxle46K/F4YR3v/AADwcTpiDOYuTFJ88arSbm\n"                           \
    "94+EzLw4114Sz3L/CgbHyfUjZTxcMFq4+sz8GKWSepDBhJFztlMQWhoAgHzHp5iT\n"                           \
    "Obg4fxPclnAwSz5NPr11MO1uphYclRpyVDA0DChwUVCLyHXC34Pvq9DZBwKBgHdJ\n"                           \
    "RkyPLwNidlFWmFdmwHlBriPbPeXPMZTqy56MvgSceF1XX8/7dybEsYA6xEsLwzjY\n"                           \
    "aSHNcyXtZ/PXQuLAMnnk0ZkZ6B2jILVsr7Vu/EKFSGgml5R8CqOakpVUwE6c4PrD\n"                           \
    "UOx/Q4YtY8+x0HLiWM1no1HplKkWGcZ5mOxuEGiBAoGBAIbWt2WEkKN2UCEeL1u+\n"                           \
    "ju5cGgf4ogBtzTxnfTjrN3YedJudgcjee36jGQRceB3VnLmhThQCY6D0KURunXa2\n"                           \
    "hGn4zYL3zaZ9vdzpc1Y6K2xcmK/T8UoDXM2IQdaDWK+k05QrKl/vqkLERWqcc+qi\n"                           \
    "/N/6SfJH700vXmFCkecwnVMv\n"                                                                   \
    "-----END PRIVATE KEY-----\n"
#define TEST_KEY_D_PKCS8                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCv0yY8wcb95E/V\n"                           \
    "3EPP4QZaif7yTOY1/xB3hIspxwq5TPzXarMHUgmn+Zoz6hvSDJ1E+vkQ8oKI3Vy9\n"                           \
    "5f5kK0I19h+UrfIKg1WfeOCpjkPhpb/x56okkYgJZUk7nw7qtTnF4jyW+gEknsMJ\n"                           \
    "7xVVVAs14xtAzRQtJarv+tT5edmtJ2T2PjyX/fy8neZ096jis5pd3qhPecxb7/xe\n"                           \
    "lqewKYKuUfcxezUHVpEn54AFcRdYC/1kB9a4YfS8vwJXDhcwSVGhuTLAxx5N3Oyx\n"                           \
    "Zhjuhm6/9ROwqV6+papy1OQ2vdQ4MlzgLp/AYx+sgLwholcrA/rTix3LujxxKIMg\n"                           \
    "0RkSlGGpAgMBAAECggEAIMMXxCj4bx1AmhE/yoe74xmFGbmmCOg09YxLURbPYv1b\n"                           \
    "PLmbT/EjrvrV1rgYBIEIug6I4/VISP/0dMcbKqeb4AmzU0VBTV+xD/TaagXCFNUJ\n"                           \
    "ieYYwFUk09lddsBZ63am4/5Wu2ws09nIbnywDTUKnLkrfhzolkwHSM3EqxLfMoIO\n"                           \
    "EtRO5tRki1GFz9ceP/bctJXPMnmp05zyUjUHCwC4APyOK0zblrjyk8AM3lD+Z/3Z\n"                           \
    "7gJBD2fmHlmeAWL8b3UxE9S5jXWCzIHK0RGGpamlUelq+jl5uQq4Js64pLs2r5I/\n"                           \
    "MldAA1kvSpKIMlHjr2puZMkrO/cjW6qWG61iXFf/XQKBgQDncV40oJVBi/91NOuq\n"                           \
    "j8m8xj//YPf5ZOYDqXJTH3GgdjlA/wvfrN/GxE1dXdkSbwXQ16TonhaIyjgtbmDQ\n"                           \
    "52ud5kmUFu+LzFNkY8SNR13LwHCfsHHDhKlw7TyWyYoqnTLh9ycnzT2p4If8LIdT\n"                           \
    "ZKIxnecU5n0VSCYLNRe//WTdfQKBgQDCewpfVB5vLBGGCHVlR1roQi2FB/WqtZ3s\n"                           \
    "FZpevg6CdYyu7PzeyFknCxDP4M+lbBT91u8JooKw8s9bjozRAYe0RCnfJ06KHXIL\n"                           \
    "73omlvFQiuSWo9ETTKIoFGku1jHgi2sXF1P3lV9xKJDICA39uc/dFrqYoNkxT4KX\n"                           \
    "UYcbvTB8nQKBgEH+Km15KHXzNFk4SMZuj4h7Qv5PqQV8xrVemJGpEp49d5/X2Yvi\n"                           \
    "4D/t811fCClgbNka1BPcF/LTLmeN5J9MjXwNkQdf7tf+3/xtEjtykQUrDzIJfrbQ\n"                           \
    "WfwwOSmJuBLklgCml4ya0i1hL4UxMTkPJcxeCOkFu77YvrhNYENHPn6FAoGASuWF\n"                           \
    "phbILbpD+WFSjLGBMgcibqQVGSweaGgdbjU1c0p/5nIAJG/13ZJmZBhI/4TzRJq8\n"                           \
    "rfI28Jxh/PmWA3vaXjMOCRGjLo+Od0g/u5LP1lvXEqh+ATe3D0ZlB5OX28j1cgwa\n"                           \
    "2zNccUDVGSP492jSw2tYayUu382mFk5ggO9IOAUCgYEAwoGnYrjRE8YSo1Xg3nuK\n"                           \
    "qxlb08bVI3z34RW5rhl7C4bNTnpLRZdhIgWa0GDqP8nxEZ87I4Uhm3/7wFIUiGMa\n"                           \
    "1w98hB7ZqkP//lKZNNy8SGCnsYJmXysKkIicEim9jjspKoTVzr9E4tX9WTOWaMwX\n"                           \
    "wJgAc32h83GsLkYMdwN63PI=\n"                                                                   \
    "-----END PRIVATE KEY-----\n"
#define TEST_KEY_E_PKCS8                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQCvZEflITm5k88w\n"                           \
    "PH4LboqCnwNSRblhH5x/yK93gAyNJmXoOcARszO9yRjMhdlpUtgvv124Q/fAT48n\n"                           \
    "i5vdUTeZkhob5XE/kSGkAhm62Gmcud5LThxodMnPO83NtrKbILlb7/02s9CFEuFN\n"                           \
    "rsZHw/IsrdtWxKZ630og+7jCE3D8jStoi1f4/YPjTog1q5nDhCNPgpcTnHCTg8dF\n"                           \
    "YTDGHpDFhaqPEVCLvkL1qzMdhYmCYtj7Xc0LrhQRL7sA3oijM4lQIkqqYtBXph/U\n"                           \
    "5tV5rJKgI5NzqkYXzsROT8neaHjWOAKE6kc6YYm/WTvjqGOMdFr7taiFV0mT5bma\n"                           \
    "ssrnLI+ZAgMBAAECggEAGXK+b8N7Ya7NoB0W2MfINx2lWLmfJTV1+qB+vSMKLyzE\n"                           \
    "GobOlILg3gegnoRJQFvx3DOzAHp0JyYkCkPacKlJHPIy8Zs/7E49iFN5sj+WS1Q4\n"                           \
    "qcqCmrFfWr89pDx++70qx+kxX0+F0NklcaULRfxrVgo/yf4sfaWKVvDPJPG3Mh13\n"                           \
    "hMBBsiI2Zb7FiWv6ntsU9yI7IoYKtvbZSuK6oomYm2XLCh/Dxf3HDOqd7LqqPDVA\n"                           \
    "ytRGicjWs53D3/4Ai9o7hEMYlyswhlatdaYuRwD3Ytry8ofsI1m9I3MgEvk1Dc6L\n"                           \
    "xpvMJC1NZIohU00OBkCkvs2ba91nfl7hnbVpdy9ZhQKBgQDySDkKJ51OJ2ZcdZWe\n"                           \
    "h/UYB7vtvQJOGb8eLl0A5FoY0N16OMfUtwyo2DwELEGAhduWM3PcL5VnWL3GCWPc\n"                           \
    "hb2Ng8XOJddtqprzSh6sV+V4aAfukqvOMTvMrWb7oVYARiT3QQfcyNYbD6VjRHB1\n"                           \
    "DbccMTv7l/ePSMpB2VURmo94HwKBgQC5UoKJMm59uWYMyPTJG8yJ1ZF05q7ikCAG\n"                           \
    "whquAO/PEzPZATgfMwNc0ndDotOVXEa6qWjXM5v1o7rLUztx/qQr69fmcrpmNyW5\n"                           \
    "cT4iXp1WC1rVwY2DXK8BuBvjo4d4/j/abLyEPEEc2R8Gl8ceyN0zmzfKqccf+7tG\n"                           \
    "vd2SMVHhRwKBgQCTer0l3klV6ovXmkfSMWZTE1ok9Bm0Gt4IbCZ2xYnGc1Vt8aRK\n"                           \
    "aoaNPNsDm0DgEBtDidxr2pcySoVySAL+mHZy7xR4UPaarfAWSjbzp6lqKsExSxzD\n"                           \
    "rZp+E8uNPn8QOaKE05QKpEIYROTi0SU3S3r78UhW9QFfuepMPRQYXCIa9wKBgQCt\n"                           \
    "hahcNjBm4BXBmtg5BiJ6XNKZlvXhhfm22kCI9K+WQPCnHBEkhWt8mkS5u9hJXeGM\n"                           \
    "HdvgxJ4fXnMktoZOspOd3HKHgJ0v4Csee/4lyFmhm3gt9dE/UqU7Atx6RUAv9kBr\n"                           \
    "kKzjVFfTXylBzxPOq10TWR7gUB/2vooYLucsX6m/OQKBgQDIkWT5m6U93IdAhvbb\n"                           \
    "avEPsOQ69P/lGTKKI2SiV0FI6FmmJV+Gg44Ajv4sUYUHM+6JO+Jv5MMZT1AXG5qO\n"                           \
    "TKNUOAoSgaYZ9fb+UbosGyOa0dNR5RGgKAjEUJpLqgEtQTjN8aCYEjO/cqQU+2RR\n"                           \
    "3gcE1AobyJXppbn+cWruTAyuDg==\n"                                                               \
    "-----END PRIVATE KEY-----\n"

#endif
