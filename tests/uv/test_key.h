/* SPDX-License-Identifier: Apache-2.0
 *
 * A private key for tests of the import. It was made for this file and protects nothing.
 */
#ifndef UV_TEST_KEY_H
#define UV_TEST_KEY_H

static const char test_key_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCkrE2+FRP8S0rg\n"
    "663abWBh6PmweiA6rfCVoZ8PYZjk5yBtESy/Il7SSh8TFt3yQVRcN15DWvqVaTJ1\n"
    "OqsCwwMRmyTYKq+YSUv0AjxtWDch984c195/g+P+USZTiMmdkxH+6Yqitcesj/vq\n"
    "Os3gBXBx8ESkzNe7GeY3cseOxa6k20cVv1oPenWjbroFXxUivgYDkEwg8DnZuOSR\n"
    "Cvkap+ZpceB9HGlfOO6ilW+hpABWmsQ34rbAMDybP7r4DgNCbCu+fYuskXkfAcK3\n"
    "f/N1aNuMlAOBwGmd5wEquaxbHBCTUGUpl+/9QR2KFpusZipFpUuGI9A2Vw6cuajg\n"
    "Je3vYi9BAgMBAAECggEAJYSaS9H6lTNEUp1vpUHhQT120fXpLOVfWIATwMngL1rX\n"
    "YPIWS0/V4byAevVtSNoIkeANinQKfosSs3HT75Oludeqm9OR4TTl6Kivwsvj98nB\n"
    "PIIUT+IpSlKL1GFoag3NflIQQ4T+ArtlTlbqe/1RQqxWv2NqTVcXxA9TFxzD7wwm\n"
    "2KKsasBNiZj/Mlw9FcSkl4e4Lh1CvmyTDm+MDDTLMoBUpeuczkXmoKw3aUAfQx/i\n"
    "I11m27CJsQQYW3FgEwj45PMDc4M6CJX5O8aXN9P9k9NKSFrdky5v0msL36wd68DI\n"
    "oVnShwknSHomE1C3sZw8Wzw+sBqERk6zBP1KCwC05wKBgQDaQ1IkV3EzbHdvnhde\n"
    "VPjDZtru6qBV0xjlZLHoG/kVJeZAr10oV3ojzWHZKjEDbFUyp0Z1KZ/hSWCbOO0c\n"
    "I8s5W4mnn18Xv39BqLHB3yMHGVYafvJfqOYnHWg8hr0XM4xd6qO50OYPG8FNZ06p\n"
    "H3HF1oAHYWqp+QksrxxrnvaKkwKBgQDBJQFF2FMuyopoERFbXp2oYbURrJ80rDA8\n"
    "1+7T8iThGcnS1wbQLx+r77OkXPfcdsxFprw6TMp4uydkZydbi0aIuTXoweSgjjQ2\n"
    "+o9tFNeFVE5Xf8oAoR8UCez4jpDAvxr476aXAqxVzaBHnkZevgM1Uc/vIKqVkvtp\n"
    "XPc/xQB/WwKBgF9sB0F0KT1+MklOKJFJPOjQ0u6ZDTf4bm37s/vyHtesFho5kNTO\n"
    "ScvVQu4akAsbFbRrhVY7uHZaCi5SmPcwfuy4pFnwRzautggSpIRJ9Zpo7UfwMC66\n"
    "PMTlCmlLzueR1dBJgQL/3VTFoaEhhTZTVP5VZOvVHzjoc6ZheF9kxAyZAoGAFQ3b\n"
    "nal/J9KcU8vIgJVHylscSdjvYeaDO56uQhxbOM5+2aTm8Tqx0SRICNq5iibJDa6n\n"
    "RhOo3pBIMwGroKcGAVFvNvgr2/SkbHnTuKhU9gvCnncnpfnqUVzjoBSqYthyMECv\n"
    "gDaiYpgPqL7wHNPJtb49VGvTLIrhLRMdQK5Q55ECgYAcdmQSgS7rYuT/ammZ8tP5\n"
    "veLLxEb6pRxnl5OxtSBcF3VtE+Tu9n+7Eq+v7BQHJTo1y0xNnLf5+lX4ZOHT0YNc\n"
    "YE6Pmx2jfULQ2gZ+64lUP68nAzZyCcvSDNk//iw8xZF27AjnoDtEgiypv4PeSOZ4\n"
    "ByuryhkImlIMNwbj3yW2iw==\n"
    "-----END PRIVATE KEY-----\n"
    "";

#endif
