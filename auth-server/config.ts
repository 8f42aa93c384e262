import { addressList, databaseUrl, httpsOrigin, httpsUrl, logLevel, port, readConfig } from '@bankside/service-kit/config'
import { z } from 'zod'

/** Bytes of key material as base64url, of the length AES-256, HKDF and HMAC-SHA-256 want. */
const key32 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64url'))
  .refine((bytes) => bytes.byteLength === 32, 'must be 32 bytes as base64url')

const signingKey = z.looseObject({ kid: z.string().min(1), use: z.literal('sig'), alg: z.enum(['ES256', 'PS256']), d: z.string().min(1) })

/** Private JWKS. Access tokens are signed with ES256, ID tokens with what the client registered: both kinds are needed. */
const signingKeys = z
  .object({ keys: z.array(signingKey).min(1) })
  .refine(({ keys }) => ['ES256', 'PS256'].every((alg) => keys.some((key) => key.alg === alg)), 'must hold an ES256 and a PS256 key')
  .refine(({ keys }) => new Set(keys.map(({ kid }) => kid)).size === keys.length, 'must not use a kid twice')

const secrets = z.object({
  cookie_keys: z.array(z.string().min(32)).min(1),
  pairwise_salt: z.string().min(32),
  form_key: z.string().min(32),
  dpop_nonce_secret: key32,
  customer_data_key: key32,
})

const parsedJson = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.issues.push({ code: 'custom', message: 'must be JSON', input: '' })
    return z.NEVER
  }
})

const schema = z.object({
  ISSUER: httpsOrigin,
  MTLS_ISSUER: httpsOrigin,
  ISSUER_PORT: port,
  MTLS_PORT: port,
  OPERATIONS_PORT: port,
  LISTEN_ADDRESS: z.string().default('127.0.0.1'),
  OPERATIONS_ADDRESS: z.string().default('127.0.0.1'),
  UK_AUDIENCE: httpsUrl,
  BANK_AUDIENCE: httpsUrl,
  DATABASE_URL: databaseUrl,
  TLS_RSA_KEY: z.string(),
  TLS_RSA_CERT: z.string(),
  TLS_EC_KEY: z.string(),
  TLS_EC_CERT: z.string(),
  CLIENT_CA: z.string(),
  SIGNING_KEYS: parsedJson.pipe(signingKeys),
  SECRETS: parsedJson.pipe(secrets),
  TRUSTED_PROXY_ADDRESSES: addressList,
  /** Whom to trust when third parties' addresses are asked, instead of the authorities that come with Node. */
  OUTBOUND_CA: z.string().optional(),
  /** `host` or `host:port`: may be asked although they are inside the bank's network. */
  OUTBOUND_PRIVATE_HOSTS: addressList,
  LOG_LEVEL: logLevel,
})

export type Config = z.infer<typeof schema>
export type Secrets = z.infer<typeof secrets>
export type SigningKeys = z.infer<typeof signingKeys>

/** @throws {ConfigError} with every problem at once. */
export const readAuthServerConfig = (environment?: Readonly<Record<string, string | undefined>>): Config => readConfig(schema, environment)
