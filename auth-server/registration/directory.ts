import { httpsUrl } from '@bankside/service-kit/config'
import type { JWK } from 'jose'
import { z } from 'zod'

/** A directory whose statements about third parties are believed: a trust anchor, so it is configured and never asked about. */
export type Directory = z.infer<typeof directory>

const publicKey = z
  .looseObject({ kty: z.enum(['RSA', 'EC']), kid: z.string().min(1) })
  .refine((key) => !('d' in key), 'must hold public keys only')

const directory = z
  .strictObject({
    /** `iss` of its statements. */
    issuer: z.string().min(1).max(128),
    /** Third parties of a test directory have no licence: they may be on this machine, and never beside those of a real one. */
    environment: z.enum(['live', 'test']),
    /** Its keys, by value or where it publishes them. */
    jwks: z.object({ keys: z.array(publicKey).min(1).max(20) }).optional(),
    jwks_uri: httpsUrl.optional(),
    /** `host` or `host:port`: where it publishes the keys of third parties. A statement that names another place is refused. */
    key_hosts: z.array(z.string().min(1)).min(1).max(10),
    /** Competent authorities as it names them, and as certificates do: `{"FCAGBR": "GB-FCA"}`. */
    authorities: z.record(z.string(), z.string().regex(/^[A-Z]{2}-[A-Z]{2,8}$/, 'must be like GB-FCA')),
    /** Where the bank is: a licence counts as far as it is for here. */
    member_state: z
      .string()
      .regex(/^[A-Z]{2}$/)
      .default('GB'),
    statement_max_age_seconds: z.number().int().min(60).max(86_400).default(1_800),
    /** Whether a statement registers once only. Otherwise it may be used again, for the same software, until it is too old. */
    single_use_statements: z.boolean().default(false),
  })
  .refine(({ jwks, jwks_uri }) => (jwks === undefined) !== (jwks_uri === undefined), 'must have either jwks or jwks_uri')
  .refine(
    ({ environment, authorities }) => environment === 'test' || !Object.values(authorities).some(isTestAuthority),
    'a live directory must not name an authority for tests',
  )

/** A server trusts real third parties or those of a sandbox (SBX-03). */
export const directories = z
  .array(directory)
  .max(10)
  .refine((all) => new Set(all.map(({ environment }) => environment)).size <= 1, 'must not mix live and test directories')
  .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, 'must not name an issuer twice')

/** What no authority of this world is called. */
export const isTestAuthority = (authorityId: string): boolean => authorityId.endsWith('-TEST') || authorityId.startsWith('XX-')

/** Whether a test certificate may speak here: where a test directory is believed, and nowhere else. */
export const isTestEnvironment = (all: readonly Directory[]): boolean => all.some(({ environment }) => environment === 'test')

export function publishesKeysAt({ key_hosts }: Directory, uri: string): boolean {
  const url = URL.parse(uri)
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return false
  return key_hosts.some((host) => host === url.hostname || host === `${url.hostname}:${url.port || '443'}`)
}

export const keysOfDirectory = ({ jwks }: Directory): readonly JWK[] | undefined => jwks?.keys as readonly JWK[] | undefined
