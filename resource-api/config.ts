import { readFileSync } from 'node:fs'
import {
  addressList,
  databaseUrl,
  httpsOrigin,
  httpsUrl,
  logLevel,
  port,
  readConfig,
  requestsPerSecond,
} from '@bankside/service-kit/config'
import { z } from 'zod'

const settings = z.object({
  ISSUER: httpsOrigin,
  RESOURCE_API: httpsOrigin,
  RESOURCE_API_PORT: port,
  OPERATIONS_PORT: port,
  LISTEN_ADDRESS: z.string(),
  OPERATIONS_ADDRESS: z.string().default('127.0.0.1'),
  UK_AUDIENCE: httpsUrl,
  BANK_AUDIENCE: httpsUrl,
  DATABASE_URL: databaseUrl,
  /** A replica: for transactions, statements and searches, never for a decision. */
  DATABASE_READ_URL: databaseUrl.optional(),
  DATABASE_READ_LAG_SECONDS: z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/, 'must be a number of seconds, from 1 to 999')
    .default('10')
    .transform(Number),
  TLS_RSA_KEY_FILE: z.string(),
  TLS_RSA_CERT_FILE: z.string(),
  TLS_EC_KEY_FILE: z.string(),
  TLS_EC_CERT_FILE: z.string(),
  CLIENT_CA_FILE: z.string(),
  JWKS_URI: httpsUrl,
  ISSUER_CA_FILE: z.string(),
  TRUSTED_PROXY_ADDRESSES: addressList,
  RATE_LIMIT_ADDRESS: requestsPerSecond(500),
  RATE_LIMIT_CLIENT: requestsPerSecond(200),
  RATE_LIMIT_CUSTOMER: requestsPerSecond(20),
  RATE_LIMIT_WRITES: requestsPerSecond(50),
  /** As the authorization server has them, which gets the lists for both. */
  CLIENT_CRL_URLS: addressList,
  CLIENT_OCSP: z.enum(['on', 'off']).default('off'),
  CLIENT_CRL_STALE_HOURS: z
    .string()
    .regex(/^[0-9]{1,3}$/, 'must be a number of hours')
    .default('24')
    .transform(Number),
  /** With the public audit keys, which are read again as they rotate. */
  AUDIT_PUBLIC_KEYS_FILE: z.string().optional(),
  LOG_LEVEL: logLevel,
})

/** @throws {ConfigError} with every problem at once. */
export function readSettings(environment?: Parameters<typeof readConfig>[1]) {
  const given = environment === undefined ? readConfig(settings) : readConfig(settings, environment)
  const file = (path: string) => readFileSync(path, 'utf8')
  const clientCa = file(given.CLIENT_CA_FILE)
  const issuerCa = file(given.ISSUER_CA_FILE)
  const rsa = { key: file(given.TLS_RSA_KEY_FILE), cert: file(given.TLS_RSA_CERT_FILE) }
  const ec = { key: file(given.TLS_EC_KEY_FILE), cert: file(given.TLS_EC_CERT_FILE) }
  return {
    databaseUrl: given.DATABASE_URL,
    replica:
      given.DATABASE_READ_URL === undefined
        ? undefined
        : { url: given.DATABASE_READ_URL, lagAtMostMs: given.DATABASE_READ_LAG_SECONDS * 1_000 },
    listen: { port: given.RESOURCE_API_PORT, address: given.LISTEN_ADDRESS },
    operations: { port: given.OPERATIONS_PORT, address: given.OPERATIONS_ADDRESS },
    certificates: [rsa, ec],
    clientCa,
    /** By the names of their settings: what ends by itself. */
    ownCertificates: { TLS_RSA_CERT: rsa.cert, TLS_EC_CERT: ec.cert, CLIENT_CA: clientCa, ISSUER_CA: issuerCa },
    trustedProxyAddresses: given.TRUSTED_PROXY_ADDRESSES,
    revocation: { urls: given.CLIENT_CRL_URLS, ocsp: given.CLIENT_OCSP === 'on', staleAtMostMs: given.CLIENT_CRL_STALE_HOURS * 3_600_000 },
    issuer: { url: given.ISSUER, jwksUri: given.JWKS_URI, ca: issuerCa },
    origin: given.RESOURCE_API,
    auditKeysFile: given.AUDIT_PUBLIC_KEYS_FILE,
    audiences: { uk: given.UK_AUDIENCE, bank: given.BANK_AUDIENCE },
    rates: {
      perAddress: given.RATE_LIMIT_ADDRESS,
      perClient: given.RATE_LIMIT_CLIENT,
      perCustomer: given.RATE_LIMIT_CUSTOMER,
      writes: given.RATE_LIMIT_WRITES,
    },
    logLevel: given.LOG_LEVEL,
  }
}
