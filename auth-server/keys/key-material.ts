import { sealingKeys } from '@bankside/service-kit/config'
import { isInUse, keysInOrder, nextChange, type Times } from '@bankside/service-kit/timed-keys'
import { ExternalSigningKey, type JWK } from 'oidc-provider'
import { z } from 'zod'

/** Bytes of key material as base64url, of the length AES-256, HKDF and HMAC-SHA-256 want. */
const key32 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64url'))
  .refine((bytes) => bytes.byteLength === 32, 'must be 32 bytes as base64url')
const text32 = z.string().min(32)
const times = { nbf: z.int().optional(), exp: z.int().optional() }

/**
 * Access tokens are signed with ES256, ID tokens with what the client registered: both kinds are needed at any time. EdDSA
 * (Ed25519) is for clients that want it, where there is such a key.
 */
const neededAlgorithms = ['ES256', 'PS256']

const signingKey = z.looseObject({
  kid: z.string().min(1),
  use: z.literal('sig'),
  alg: z.enum(['ES256', 'PS256', 'EdDSA']),
  d: z.string().min(1),
  ...times,
})

/** Private JWKS. */
const signingKeys = z
  .object({ keys: z.array(signingKey).min(1) })
  .refine(({ keys }) => neededAlgorithms.every((alg) => keys.some((key) => key.alg === alg)), 'must hold an ES256 and a PS256 key')
  .refine(({ keys }) => new Set(keys.map(({ kid }) => kid)).size === keys.length, 'must not use a kid twice')

/** A secret is its text, or an object with the text and its times. */
const ring = <Key>(key: z.ZodType<Key, string>) =>
  z.array(z.union([key.transform((bare): { readonly key: Key } & Times => ({ key: bare })), z.object({ key, ...times })])).min(1)

const secrets = z.object({
  cookie_keys: ring(text32),
  form_keys: ring(text32),
  seal_keys: ring(key32),
  dpop_nonce_secrets: ring(key32),
  /** What third parties know customers by follows from it: it is for ever. */
  pairwise_salt: text32,
  customer_data_keys: ring(key32),
})

export const parsedJson = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.issues.push({ code: 'custom', message: 'must be JSON', input: '' })
    return z.NEVER
  }
})

export const keySettings = {
  SIGNING_KEYS: parsedJson.pipe(signingKeys),
  SECRETS: parsedJson.pipe(secrets),
  /** Seal what third parties are called with, until the worker calls them. */
  NOTIFICATION_KEYS: sealingKeys,
}

/** A private JWK, or one whose private part is elsewhere: a key service or PKCS#11 module signs for it. */
export type SigningKey = (JWK & Times) | (ExternalSigningKey & Times)

export const isElsewhere = (key: SigningKey): key is ExternalSigningKey & Times => key instanceof ExternalSigningKey

/** All keys and secrets there are, with their times. */
export type KeyMaterial = {
  readonly SIGNING_KEYS: { readonly keys: readonly SigningKey[] }
  readonly SECRETS: z.infer<typeof secrets>
  readonly NOTIFICATION_KEYS: z.infer<typeof sealingKeys>
}

/** Keys and secrets as they are used at one moment: of each list the first signs, all are accepted. */
export type ActiveKeys = {
  readonly SIGNING_KEYS: { readonly keys: SigningKey[] }
  readonly SECRETS: {
    readonly cookie_keys: readonly string[]
    readonly form_keys: readonly string[]
    readonly seal_keys: readonly Buffer[]
    readonly dpop_nonce_secret: Buffer
    readonly pairwise_salt: string
    readonly customer_data_keys: readonly [Buffer, ...Buffer[]]
  }
  readonly NOTIFICATION_KEYS: readonly [Buffer, ...Buffer[]]
}

/** @throws when at this moment there is nothing to sign with. */
export function keysAt({ SIGNING_KEYS, SECRETS, NOTIFICATION_KEYS }: KeyMaterial, nowSeconds: number): ActiveKeys {
  const keys = keysInOrder(SIGNING_KEYS.keys, nowSeconds)
  for (const alg of neededAlgorithms)
    if (!keys.some((key) => key.alg === alg && isInUse(key, nowSeconds))) throw new Error(`no ${alg} key is in use now`)
  const inOrder = <Key>(name: string, timed: readonly ({ readonly key: Key } & Times)[]): readonly [Key, ...Key[]] => {
    const [first, ...others] = keysInOrder(timed, nowSeconds)
    if (first === undefined || !isInUse(first, nowSeconds)) throw new Error(`none of ${name} is in use now`)
    return [first.key, ...others.map(({ key }) => key)]
  }
  return {
    SIGNING_KEYS: { keys },
    SECRETS: {
      cookie_keys: inOrder('cookie_keys', SECRETS.cookie_keys),
      form_keys: inOrder('form_keys', SECRETS.form_keys),
      seal_keys: inOrder('seal_keys', SECRETS.seal_keys),
      dpop_nonce_secret: inOrder('dpop_nonce_secrets', SECRETS.dpop_nonce_secrets)[0],
      pairwise_salt: SECRETS.pairwise_salt,
      customer_data_keys: inOrder('customer_data_keys', SECRETS.customer_data_keys.map(withoutEnd)),
    },
    NOTIFICATION_KEYS: inOrder('NOTIFICATION_KEYS', NOTIFICATION_KEYS),
  }
}

/** What it sealed lasts, and would be lost with it: it opens for as long as it is there, and is sealed anew meanwhile. */
const withoutEnd = <Key>({ key, nbf }: { readonly key: Key } & Times) => ({ key, nbf })

/** Whether a member of `SECRETS` is a list of keys with times. */
export const isRing = (member: unknown): member is readonly Times[] => Array.isArray(member)

/** When keys begin or end next, in seconds since the epoch. */
export function nextKeyChange({ SIGNING_KEYS, SECRETS, NOTIFICATION_KEYS }: KeyMaterial, nowSeconds: number): number {
  const { cookie_keys, form_keys, seal_keys, dpop_nonce_secrets, customer_data_keys } = SECRETS
  const rings: readonly (readonly Times[])[] = [cookie_keys, form_keys, seal_keys, dpop_nonce_secrets, customer_data_keys]
  return nextChange([...SIGNING_KEYS.keys, ...rings.flat(), ...NOTIFICATION_KEYS], nowSeconds)
}

/** Whether two say the same, down to the order. What a key service holds is told apart by its key id. */
export function isSame(one: ActiveKeys, other: ActiveKeys): boolean {
  const written = ({ SIGNING_KEYS, SECRETS, NOTIFICATION_KEYS }: ActiveKeys) =>
    JSON.stringify([SIGNING_KEYS.keys.map((key) => [key.kid, isElsewhere(key) ? '' : key.d]), SECRETS, NOTIFICATION_KEYS])
  return written(one) === written(other)
}
