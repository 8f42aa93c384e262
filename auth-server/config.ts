import { systemClock } from '@bankside/service-kit/clock'
import {
  addressList,
  ConfigError,
  databaseUrl,
  httpsOrigin,
  httpsUrl,
  logLevel,
  port,
  readConfig,
  redisUrl,
  requestsPerSecond,
} from '@bankside/service-kit/config'
import { z } from 'zod'
import { type ActiveKeys, keySettings, keysAt, parsedJson } from './keys/key-material.ts'
import { directories } from './registration/directory.ts'
import { reauthenticationPolicies } from './tokens/lifetimes.ts'

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
  REDIS_URL: redisUrl.optional(),
  REDIS_CA: z.string().optional(),
  TLS_RSA_KEY: z.string(),
  TLS_RSA_CERT: z.string(),
  TLS_EC_KEY: z.string(),
  TLS_EC_CERT: z.string(),
  CLIENT_CA: z.string(),
  ...keySettings,
  TRUSTED_PROXY_ADDRESSES: addressList,
  /** Whom to trust when third parties' addresses are asked, instead of the authorities that come with Node. */
  OUTBOUND_CA: z.string().optional(),
  /** `host` or `host:port`: may be asked although they are inside the bank's network. */
  OUTBOUND_PRIVATE_HOSTS: addressList,
  RATE_LIMIT_ADDRESS: requestsPerSecond(300),
  RATE_LIMIT_CLIENT: requestsPerSecond(100),
  /** What hashes passwords and makes clients, from one address. */
  RATE_LIMIT_SIGN_IN: requestsPerSecond(10),
  /** Directories whose software statements register clients. Without one, nobody registers by statement. */
  DIRECTORIES: parsedJson.default([]).pipe(directories),
  /** What the directories call this bank: `aud` of registration requests, beside the issuer. */
  ORGANISATION_ID: z
    .string()
    .regex(/^[0-9A-Za-z]{1,18}$/, 'must be 1 to 18 letters and digits')
    .optional(),
  /** Where the authorities of CLIENT_CA publish what they took back. Without one, revocation is not checked. */
  CLIENT_CRL_URLS: addressList.refine((urls) => urls.every((url) => /^https?:\/\//.test(url)), 'must be http or https URLs'),
  /** Whether the authorities of client certificates are asked about each, where a certificate says where (RFC 6960), before their lists are read. */
  CLIENT_OCSP: z.enum(['on', 'off']).default('off'),
  CLIENT_CRL_STALE_HOURS: z
    .string()
    .regex(/^[0-9]{1,3}$/, 'must be a number of hours')
    .default('24')
    .transform(Number),
  /** How often customers prove again who allows an account access. */
  ACCOUNT_REAUTHENTICATION: z.enum(reauthenticationPolicies).default('uk_10a'),
  LOG_LEVEL: logLevel,
})

/** Keys and secrets are those of one moment: `followKeys` makes a server anew with those of the next. */
export type Config = Omit<z.infer<typeof schema>, keyof ActiveKeys> & ActiveKeys
export type Secrets = Config['SECRETS']

/** @throws {ConfigError} with every problem at once. */
export function readAuthServerConfig(environment?: Readonly<Record<string, string | undefined>>, now = systemClock.now()): Config {
  const read = readConfig(schema, environment)
  try {
    return { ...read, ...keysAt(read, now.getTime() / 1000) }
  } catch (error) {
    throw new ConfigError([(error as Error).message])
  }
}
