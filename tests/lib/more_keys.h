/* SPDX-License-Identifier: Apache-2.0
 *
 * More keys like those of keys.h, for identities that are rotated: RSA-2048, PKCS#8.
 */
#ifndef TEST_MORE_KEYS_H
#define TEST_MORE_KEYS_H

#define TEST_NEXT_KEY_1                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDA2o2ImX+OJ1l3\n"                           \
    "xAWS6ZjyZ8DMVMDxgdMF00WT4FV5xF934I6ymso29DGQfJjNA9Ggpjd0AL9CzCl7\n"                           \
    "JKyTEdbmF0UnjIAm8eEkRzzmBCNK0YE2GgGYrbgHCtXfdchOjqEufE7qu2fPWbhw\n"                           \
    "aOP+XdZ+s8HcmQzLOZmiLvxuoKhpDbqi8FRlfVsnUXui6Z/aaYPzpLPWW0rOB8gj\n"                           \
    "NHGj0Yk4krAnAGzrNNF0bwnlRK/CDWaga7zLAf+8jmuqgJ374HCKRYsLBjMLClVe\n"                           \
    "FT9eXnKghunTBxLxPllp1F3m6doLVSgyRnZesmNxs2qlLo16694/vAw5T2xmLJdl\n"                           \
    "TwMfz0GPAgMBAAECggEAC9Xd1cJF172GehknlmqLnmTLqj6RUMD86GCc5oRf+ocY\n"                           \
    "rMy1NTTWsCSwXgOnhP11AfzxbkcVdc39xbbseGIh5CENd23h94HkpUtR63PZjp/o\n"                           \
    "5B8YdfxDTPtXQM2Dq36JWcb7OOCjcFA7R3rIczXjEgeKIDWsWVSBnzhu+YMWksvP\n"                           \
    "YXhCLRbNDX3dchi0WJ1x+ozZ6gGqYQjVNR3P+YeFsA46qJcj5pf1SdFgYa9dJ1og\n"                           \
    "4O/+QHW/HchJOAAVqZ8vBCbXBBXAbdTFsqgnWKVyRM1mvgSaJRet7JTQAN/lWFwa\n"                           \
    "KgNOKZ4jOjt+EyEOylC8pG4+1D0BevtC1n0oUoo3gQKBgQD+KfTpYQvO9S4C3Lhv\n"                           \
    "bmrICpGgaaPNLdqh6njdwcwNuIKZ7Z0qZIoozdqVtmr/Mn1/AAGY/cJsP8NgA+0q\n"                           \
    "OAMfQl8gSg4Rfrpj/xKTproaGie15cbd60E9tNsVZB2PMWPubg4L3j0IcaLROEHs\n"                           \
    "azcQKGF/k95FHIN5MRE7acI87wKBgQDCPzX/nijZs+0OGW/K4UBiCXuv0lQsG/ZE\n"                           \
    "ha8o/i/Ludy9URQMUDD3t9mxOCjRGp6Hkx6z4Ffq2Fwahsuc5tFwITXHHVcQY6CN\n"                           \
    "u0/xC3tsn1f5yaYJYQTvpQOvQwb2sJriDLARFBttj/7B/pxO3ZSJh5NfS/Xx8y1E\n"                           \
    "SFrhUVKFYQKBgQC7LRr4ZEfV+ioQYYxSQ/bPqzjj8eh3yjUg2RR5+6bS0/cadSsx\n"                           \
    "dSlqM2+uodDab8yMIu0KRpdQMQUpSLr4RJfIBZEYrnD94V5TFh4QLtEPOAPWqYlz\n"                           \
    "FTXOw8o0Tq6WLcFybgpaIyi/dzB48/1Ypvy+IX7r/XHLY9xO/Bu8rX4mcQKBgFDv\n"                           \
    "m6VNlkHXqX+Fc8I6BuSShPnmjnHumLdGaIyRFQMzB1nOrabPxweAkHE6MC+ogsOE\n"                           \
    "tndGk/tjeUUIQ1C2EDBDdi/n9r36dQx5Lr8GBMBmyHZo4gjoZvEfdaCSMhWZ0n87\n"                           \
    "wCTtltwY8pKMbz6hLuH7HpnHgcv1gjgAWfWmN9chAoGBAJNWD/BpqtBatzSPc+Ue\n"                           \
    "EJIxSLlFhNAu0TJp3yipk0ZJnhuJnZyR1dO1TSHT+IWz3zkNj3PjRrY+jKv15ezs\n"                           \
    "eBq3Yy3s5bmQwtxx4aaVchtfZoZH1I+OPeQ1KUpoC4wBNHKCJrz8w6+YYD1QMTW8\n"                           \
    "4zUpFAIFWHMVoz672YnojvhO\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#define TEST_NEXT_KEY_2                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC79lb63UkNyvWQ\n"                           \
    "e+uAYDAudp5VdIU+hiOX9LGNMBJOXKexcunoJWzp6fFU29lQ5TFVEo7RFgfdpQvh\n"                           \
    "uDN0duEXkyfY5URAMsHtXjiBqAUaoa/t3ou5t1Jt7BK9LHsVUlqsjpLOv9EH0HqM\n"                           \
    "DC4sGiCkqm9HbDOLtc4i+bEMeL4YsboNMJcWqalGuR8UtOj4lQPKyCLH+B9Gmjlr\n"                           \
    "n1Z+8xNiiM+NiujzTSKl+U7HJgEjq55jg59k6U8/D3piL058nIUF7Rg6lugHhuSC\n"                           \
    "WoUVSBVa+u9dpFIQZFz0GLY9y6CO6riqnUfaJHaGCCl02gOYtJRLB8uaUPIIUX11\n"                           \
    "mRJeVwOJAgMBAAECggEAAygHlNOsmmGf/6VmJa28GNy2rH1+j1EpV1ILRgrjA891\n"                           \
    "tbZ4B57BzbmmHjmeoSVnE73YkkAlyrvZdeVugnAIWkupQPlN95HAgHdmc4TNdWf2\n"                           \
    "ewQcGV04VFcnmFYwN73X5UtAsKrIejr7nGAMQRyJ4FOdboCLc3LB266h/48VX//0\n"                           \
    "m8UM0N9eo3TsZvpMLUSeKP3PfPdEUiZxr0mwpkpLKFQakWuCtx6hqwUuZGWLEMAa\n"                           \
    "12UsIZHB5cOPaqkLXLsDTaXdhz1g4YkprJ8J4JzbobKGxPRdwKAwDz5/cUpt4rtd\n"                           \
    "CxgtWx76Q5skm8GHu7zuNOgV7tGDqWXV4qlUHPBzUQKBgQD6VIFiITYiN8O7Z8k1\n"                           \
    "fnik40k51rzyyqx2oXZx8dsLzVKiFGeqfpvLsLc3jeuSBGw92DfQEnfFrj95ZGNV\n"                           \
    "sm+TrL9Gg4RSZ/lQCMnlsZ5al6pSdI8pCDK1YCGMOQ/VE3ENUEjoicC6CAaSgEj+\n"                           \
    "RmuMAQLtabTZG0ElHa7bLP/C3wKBgQDAODSfVAEx6lafvne27X0ltcEMBqxUCkQV\n"                           \
    "chkHC3KhLknpcYVIY6GWN5aetBBQ//24P14YUIP127dpzX3msrvabe976v+TNWCq\n"                           \
    "4xlggmoHhUdS55vhlxhfcc/k51R1HSV78rPrK4ckyOwD45GixSKt6uOkMrkrycrZ\n"                           \
    "/uXZL2kulwKBgQDC89L7eD/vcBxoM9C4b3FHgJbDi6AFOaAMl3xmCuP7kgDbpyaA\n"                           \
    "2i8897gIdOdUBUvC8kOtMOTEOArI4EyYLenFSVCBeuUvRDgeg2mxD53ykZEcvBfN\n"                           \
    "7cuIA4C88qeI2qY9pxvQtY85kgyERZITLQaOty7vdFZaimY2oKJPoQDiYwKBgGs6\n"                           \
    "76AybLg70jcrOf2CXt46lobu8hOv5mtQS0XyzO+9st3XxlKrweja+dtu9+s344J1\n"                           \
    "VziZMgRlndwYFrQr4T/pNEAcyJaGoHa0WePM3Pl1EGTfb8ZZU+9qvl8j7amnqNGM\n"                           \
    "g3IdxjZvH7rLqOL0tnPvJS7kXQhgehlCaVbPbA3hAoGBAM+RDK6+EedDJSwsc6il\n"                           \
    "SWmcgarjUEn7JaXkCCb3OWRzGjj4h9P81jL0/IofjwvEcix5o2duxQSbIzMMGsQT\n"                           \
    "msoy3WGPlEUN08ONz2p3NfJFnKzfRaH2GQao9IVg6Rw63LMfo7uJTSntRtXMMBSi\n"                           \
    "eX1Txvrj2L2qKBqyrt3BkYPh\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#define TEST_NEXT_KEY_3                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDMPkbgn/E7iN03\n"                           \
    "uovL7XtL4j7ctyjESR8dXh4UOBaMWd0NZSraYmh5VGznU/jD4qI0Vsbd1+6b97nP\n"                           \
    "daHUIaPO0G8/Ve/nM9RuDcVWmT84XN4PcJm8GSMgPaBoN6lFj+QA38fH1fe7qfSH\n"                           \
    "afB3Ig3D+wV67w8B7Tpu/JI3CS95GvAjQ9HDjGJ7tGBrM0DScL6yTiFlX4li98fo\n"                           \
    "5nVBtOc8dnl9W3iAuvQ7uN/G1zsydmyTSMcwJMk0O5e55C/WxUV5JG69w80g95YW\n"                           \
    "KabyXj2ZXTHEyUYtgtoFaz17ICRnXEZXNrNPgZv+VMnQdSgUOu/0Sw33cMqsOnyF\n"                           \
    "v40GE+HFAgMBAAECggEAXb0Fbamqnz7Y/O9OovkrOfAsFsOvX6sJr0JXfsMhQigq\n"                           \
    "RrAUY2d/+JORafhFt62n8WqUWhP1LLsdGgSskb4gvtY2ALUR5qSIjjwewniSJe2l\n"                           \
    "cyOkQ0qsLutp1/sX4te/9tC+Ec73pLdDhfTOyvajp7tpT/sxAZrd0ztzZfP+yE8N\n"                           \
    "Ec02usRVf0JntbJxv86ObHze+5mdbh8xd7AA8sXaJcU3qHEEgHv72t6UZWnUFmIa\n"                           \
    "iTT0sxh4Yl+8nd0Yz0sGStkYodHr71Lu8t148wTHO05N6BUSQ2T90/RBT8JHvasF\n"                           \
    "xn28r/Aj6ZMsuUL1sJLKUvXoJN/Uvi7lNwUfegqXPwKBgQDw/HRf2bE5fti5xbY6\n"                           \
    "u3CSClCx+NezcpRC8x++mvIFlkwf1dI+7SmPN6lVTsXKGe807L0shkFA0qtNYBIG\n"                           \
    "dnKhxf5WhynxtPskJd07vrynWElZWEi+rfCEu8aTWOItvutbed6rr0XPJKIx5LnX\n"                           \
    "MMb7pcFNDUkAaWIZOXsqU7RSgwKBgQDY980jYdCR8gLxSrZa0dDfS2ZeTvZcL64i\n"                           \
    "lgF37CqaKMxywaetj5kAJwqu3dvIpbZbSbpedc7jqvddHe1BT3AymO1bEplHy5vp\n"                           \
    "CAuIMMClWztRYk9tEDGU7fp2XGBGnq5P/jJLYp+cVvm42/NcmosIbu3ipVf8u0nU\n"                           \
    "FT6W61QoFwKBgBFpPAM82DgeOQxbA4qExmJWynPBVdxKN/oKVM3RphDPRhq6uSEA\n"                           \
    "w5LsY5idQ18Rtp2tSRGxdX94eRXzDfpXjnqvsmuQAnDLMaXv8mcBpeG1WD9TSJY2\n"                           \
    "PP1qD7PPpS/G7nxCdtsSo8mOjQVr0B2DEa1W0Xt+rTqRYpwN8h8hwxJ/AoGBAIWS\n"                           \
    "0UUWJAylvLAGOgvhnkDKL6Sh4kPQytjaFt9YksXDllKT7IIKpLwWTRpo1bVKZ+D9\n"                           \
    "m/IpfwxkpdM66GTL3hwYUBBAfANaU4r8e/UFZqSmbPdmmdVgIdY5SHfz2QXBDTmM\n"                           \
    "GjSU7ASY+zaWmtWJA01W1bcx6eBbAVHDHnxVNsNTAoGAKAjEdD7s3ZpCpCEPQr2u\n"                           \
    "lQwBoJj1MQ6cJtiraiYModllqb2IGG/l0VoXNPTTr99zwKS1g6z+sJfYZul+i9Ku\n"                           \
    "Eu092Yb5lG2e/2njbRxy/oTKXLl4cGfoWJ4v65GmP/05qCMmH1y5gFH2eqF3czKe\n"                           \
    "u/IlxFTGeY/RoAJUUkgOBGk=\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#define TEST_NEXT_KEY_4                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7eusKAdC3/fDb\n"                           \
    "jrC8zgiacZbz7xrBadlVU7aWg0k6IVFYag67NWIcz2JVRGW9McdR5LCMLN6qkcHs\n"                           \
    "AuOuT9/JjsZN2FTknFYFm/dY8XKg+5Ju6Fl/f5fgC5UP62FR7iaYWRSmu7h5k89z\n"                           \
    "hV91IZIumrHN/8MbHt1+Wv131fLQQrzuoS+bdCTRNJ2jUYpdO0VUmUFL0iWXePTw\n"                           \
    "90OCIaHITDNpIw8JKyu/HzGCGi3Ve4BZLIXvrz9pAPEKNRoHQ+jONefpDQVex5aw\n"                           \
    "a+phDf5FAvRu5YTgQ23RWkaDqA+P4V5cmjayJLSsDR6gKLjLD8d3xY7VnJFiH1dm\n"                           \
    "++hTwZfFAgMBAAECggEAApcgrzs2MIycKtRuYbVxDf06yjUICBsXyyOEdtDqjpiO\n"                           \
    "QKv6dyC2MdK1t5rh0vrgl6OSwuUN0IqCBOpHTg3BeE32NHYkOiJk19//S2XOoSXI\n"                           \
    "sKqaLfZL2WcfkKA+cHzbYKh+bg1S768Yoy55Equ7ktRFV6TMg8/p3IiSTvkQSUtU\n"                           \
    "pG8nulKeABkGf/+LlrY7+erl77TThB4W4dbOXHw0lrUcuauwiIdhvgH5T/pXJxMY\n"                           \
    "QqMEYiTy433NtC+2CJypZel+KTP9Jpw5VEQ5LKFwu1w4V0BBqJ/8pNpxfzO4uhKf\n"                           \
    "8hyO1/Qv9NzDJTeZVfTwkWGAkkZZjwBjBLctT2J+UQKBgQD+yrYOTC/B66yN5Pi8\n"                           \
    "ibwWR5suJrGFfzbqA58VCuXHRFZCFJVRczux6DiZOnl7kp3DpJKs/AN4YySTUDEN\n"                           \
    "igS6MbFEakdOdga2LTSuqWIezc5nzBFi+XxBze0EcAuPY2FjJw+8PkywIUEON3vz\n"                           \
    "8LmkcFUH9X45YFozC/xWzdTFXQKBgQC8Xn+CtjhHjb2b0rCQHwg/i/fBRNvcwN5i\n"                           \
    "luvYJ6FT94j5cvhEYTuXaiKU5pzXvsR7DLrrbJRxqMrsgF2bmAy23CkEjZKVhUXF\n"                           \
    "X9x/eCtGkoBCtruPxTwkAErPHHSEMKQp7pP2R3LUm46SLoHsIn4iX3xqGfTU3k34\n"                           \
    "pZSNjDNNiQKBgQDbOQcTnjGpJGG/ZLcvYULX2JyIRPqQ5jgVeTAzJsE1hnLBQHyJ\n"                           \
    "LCC8nhW0oT9NN4VOhBc/h0ZlGsiph2HtSEdw/LiNKPRZaeu0a4jcjxjBcEqbvFVp\n"                           \
    "V0e2RrwcCVuo79UnPsCnMuNA2BvlY4/e/8x607wVsP/91g1FxpZDCa58cQKBgGbv\n"                           \
    "aNSgCO8pCJUvNCb9nj9DmHb3zwG6L4xGlsi/F0zQNvzBk+OiErNyX0VpJApNiAcJ\n"                           \
    "9NcTtabKq2FD4GNXWpNOieegCZtFgdQSx2as31EoW4iZXLN6/5tYwYieLxnRjtQP\n"                           \
    "OLHbZ2fBPc6qNXs5eh4EefNtDbqJZKhcq2oSVDKpAoGAaXQokM07BHdj98KKS7M+\n"                           \
    "6Dk+1z2SCiejOtkW1JYx7yu4brq7Nj+ZuL1VjKz0/dpy71nh05a2z9wNtWHYfRsW\n"                           \
    "6HPinN2WXR/O6FhA5PNTyrKGs44Npk3+18SalzcqNLQQObcz7Ht67noIbcpUEm+6\n"                           \
    "G464PBGCDv10bWBlMa3lSAI=\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#define TEST_NEXT_KEY_5                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC1lfxDr3MrD/WT\n"                           \
    "ZaM2joq0Ul9QH3xtd0syrvgKFC2vpzscPbVRcyVI95wvY8YXcRNMAufupBRfYy0n\n"                           \
    "HcwfobQlCMeEI27/Y3kAzQsfK9/gOX/SM3ZxOcDjyqqtwkndJ7EeNespaMs9J2AK\n"                           \
    "GgDgnOeJTIj2c2rvaHO41EGpyVUMoL1rI2UrSwzHyO5BtGXPQl63X30ojGoEIV54\n"                           \
    "Ivi63IembngxxEFiIqrX+VqCWGxC8Ve/sj8vRIAF4qyPfuhAGhsqqFtzt5T1V16x\n"                           \
    "GSDmt5bw6ly5tCK0L8vlUsiDiDHehSlSUB2Pozsa0qCSOsZdqq6xJLib9rUDdAyw\n"                           \
    "K5ENYCz3AgMBAAECggEAQIBcAPEAMGI1Ydu/G6CLfZ0q9SuSB9JRuFm1iuL7DYOS\n"                           \
    "OChlUV7c9ivaY20GDwqgB6aam0bWY8G3ZscrXGsUsfkJ4hKyGW7Mqy+qjTKJDj1u\n"                           \
    "fYzBPFv+/AtgEGPM2A2C2U/ezjFGzFzBvSTafe7OQhOZLS33ZL5OKO/guT5mgxq2\n"                           \
    "q+BE51a1rwgWVbBtSH4NRKWShJWjSXssdyw6dX3C5OVTQOK84jYSQY4UTBlULeD0\n"                           \
    "FzwCADNaGPpoFKCqIjwZn+HO3XVRhz6q+WlEDN8MAi18Tbka1ad4xT1/35DeBSfT\n"                           \
    "KukSG6t7w+MlzJJVAZTyBr3Y1ci35RBejy7/aKMP0QKBgQDbVkQp2ZZPK5OgzqTm\n"                           \
    "EopoPUGK/qF2dgmny6yQeqe1Ga/4QIiSqxkclpt71Ey/sEZlA8v8Qd1QBWSW7dqJ\n"                           \
    "e5PDF/Mkcky9Cj7KsrQPsZSePUnRa0dNRGy89gyaPsB5Z2zz5kBpkc/vO/qqDNMV\n"                           \
    "y2eYOSN7K0yGVbnaYMVi/XbmhwKBgQDT8Ewbot3c6lk2zGrr0fMiOyl8O3pbR/Mx\n"                           \
    "m8zc1LoIkHg6hGdFVU3DgYYZBuSSai0UQttKH1onLGF1jPW7jeVGhFJxw5X5GFF0\n"                           \
    "5j+peo7vE7Yz24VEmxo7FaDFaHCsqO8LSnEGSfXxR7+gAFpy3+7YeOWgTi2gB9DS\n"                           \
    "MpIF7YeyEQKBgC1SaAdVxK9bS8gAqyY3Uo4ziiWUc/ysa1ZWybOZBKpxQmFDxHS6\n"                           \
    "EhhMLpipx6ocXI9m93GKkpaEZsKhJ3UdKe04N6+iRqURRuRPhNFxWkpQU76IMlWO\n"                           \
    "/AEXvobozJDJhEPpogmubY77j9IvkDaCr0dPFzvOOKPRdvPe5yqLQVRlAoGAYeVd\n"                           \
    "Qma4lJKrIuTJfqQ76lPplbjji8ZwTznoJxkb1VjmMCF4kk4U3Xm2t1i3u+nPaMx4\n"                           \
    "/oP84JtfaSzzVO72ONxmOKZfX/AbsCOqxF4YJ9azEsETjd0XALO8z3KumRJvWIfK\n"                           \
    "LV18fTbnDMEdBnLpoJQ3fRSffowdqPoy+Qn+5AECgYEAgmLS1ruPxIgkz60skCht\n"                           \
    "httrOz3IttN5MsGmBeCbx4gnCfEjL+1A0kLPRoVHS0vMDdKISY3BZzcu/kMDXAtJ\n"                           \
    "l+v23ZZt8JlIwiWYShTS2teuH3vIihtou6UeFuxm+fOgIdxDNtrRyYedWEJxNgCr\n"                           \
    "4efVjvlwpY8Fzj6hEEsy9/M=\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#define TEST_NEXT_KEY_6                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCtwzaLhdb66DVY\n"                           \
    "oYvz8O/htqEFRSg9Xk3Vp651TgsllymlFkjXtIEvYIehnS235lUVEKAUb43wFG+X\n"                           \
    "4nV+ALvyq0LcdZGZMG8cJbHEJAYoOnkzH2iK5aIgi61XXuKDBbTJXoWNomxO7K7q\n"                           \
    "RGto8YWcGs+gRty/Qi3VpVd1O/0WyWWQOrTx+RwNDkZjA9h5zG/B/VbJKI9z8z/K\n"                           \
    "nao0dWA2xSrq/FFcsRbiQywE3f2Rppq9+4VVZf0+149a8pUEgp+zkOiTEnDCxuhi\n"                           \
    "SjkMXU5Hi+BS00vYYHA0IJj2P0TPvIBwFFx7fvD7WKvVPdNQ4EIIJEknryjJRFmg\n"                           \
    "0xzrPlw1AgMBAAECggEACaIRJ86BctMFRBbepKU2k0eV6S4ikzZjb8UWR6QOO6UD\n"                           \
    "9sZDvwufftIl6siFNJUFIgAUM9XUY1sqrZutIlFlmggzEnhFHF5CRqfzUTmjCr9l\n"                           \
    "ITesSsj8wjukHjwhKBzcny5JjqbSxNRbxRqKbty26MbWvF65VbQUSOwb62CqQQVN\n"                           \
    "UklOmz8LdPTrPXrBVXJGefe1YI4WLGDJIxmwhhES7Ia1O/WzJM3qRJfJtI1017tk\n"                           \
    "uih0I8vRG8huDtGtFb5tyi/fhV3s4pCJsW+CDTM/XFtQn+v7i2wEdKon1icX2NtA\n"                           \
    "R6B6jZ+p3E23JfneUnJOxwi0sBT+KcVlnvmjg7AVQQKBgQDkIQ6RkRgn0BcdfQpb\n"                           \
    "HtLVBeGZMpQ7KcfscKFxa9KjUiK2ZUYcDm5rhUhStZv2TKR58o6jiY09GEQLbRXE\n"                           \
    "apPXOfLDCisHkEZdp1p2uq1Met4MeecKQB49ZTOdpoONkJV+19Drb0yjCa1LGqbx\n"                           \
    "tF9RW02OZnyoOLi2U2IXYbdZQQKBgQDC/crtmIgf3t/b1un7407d61JFK6iNio4l\n"                           \
    "J7lYoaEHpPtkmqSjgWAQWZOD8MbfAX2c2qHLWsvPanrLhFTr1wDWENTut6P68fdE\n"                           \
    "XB42ABLJwjQJxJ9r7jdAIU25QDOjqYphhHspvAzbHRXURTOHYd8cuVi/mJ30XX4i\n"                           \
    "fg71jhCx9QKBgBOQ9kPr8utvQJxJ3jqEgUa+E2RlXytX4QrZei9VNSLG561HMGU1\n"                           \
    "o6jbLKHTa8YLOswuzqceJBwKWcO1HnnTPkzmbnjmBVzHthFQSkUGq9h0bVkal4Nc\n"                           \
    "jntrk6rA3mWk8f2IGyYmTKdrLA7WAV2Xv9klgJhnF+gBvW395trkiapBAoGAZ3yG\n"                           \
    "nL7dT/zbVjOjjxm+m6zuxuM625PziOiiR9XQPtxix6wDQPvC3iqMTfQVt/l0jzDB\n"                           \
    "ucmAbZ6XeTfMUjaTrQjV2bQBBYgxsUgqiIJVdlrpf12pNoEBNbn3JCBcx7mNReAn\n"                           \
    "9ahmMkwnb7cid/GLlhUQcu8utaiA7xF0IwK4/ZkCgYAw0X6BDegizGK3HaITeStB\n"                           \
    "+1Ez5CsBc/h4nIiO2RkfBhC9D5ugfdbLZnTkJPXE9PHSCmFSbYQ6RxrDmOcpAl38\n"                           \
    "KLufv4WYblkwQOdR9lo84+0HKNgpGCBYR/CT5NwPYtcd+drehNESfvD3fnouzhWC\n"                           \
    "yr5zEXh3p8ViKEAc0kn/CQ==\n"                                                                   \
    "-----END PRIVATE KEY-----\n"

#endif
