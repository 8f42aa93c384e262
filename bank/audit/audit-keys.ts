import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto'
import { z } from '@bankside/service-kit/postgres'
import { isInUse, keysInOrder } from '@bankside/service-kit/timed-keys'
import type { LogSigner, LogVerifiers, NoteVerifier } from './checkpoint.ts'
import { sha256 } from './merkle-tree.ts'

const key32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 32 bytes as base64url')
const auditKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: key32,
  d: key32.optional(),
  kid: z.string().optional(),
  nbf: z.int().optional(),
  exp: z.int().optional(),
})

/** What is signed is said under a name of the bank's own: a host and a path, as C2SP has it. Whoever keeps checkpoints knows the log by it. */
const origin = z.string().regex(/^[a-z0-9][a-z0-9.:/-]{2,99}$/, 'must be a name such as audit.bank.example/ledger')

/** A file of keys: with their private parts for the process that signs, without for everybody else. */
const auditKeySet = z.object({ origin, keys: z.array(auditKey).min(1) })
export type AuditKeySet = z.infer<typeof auditKeySet>

/** Where the keys come from. What is read may change at any time. */
export type AuditKeySource = {
  /** @throws when they cannot be read, or are not what they must be. */
  read(): Promise<AuditKeySet>
}

/** @throws {z.ZodError | SyntaxError} */
export const parseAuditKeys = (text: string): AuditKeySet => auditKeySet.parse(JSON.parse(text))

/** What everybody may have. */
export const publicAuditKeys = ({ origin, keys }: AuditKeySet): AuditKeySet => ({
  origin,
  keys: keys.map(({ d: _, ...publicKey }) => publicKey),
})

export function logVerifiers({ origin, keys }: AuditKeySet): LogVerifiers {
  return { origin, verifiers: keys.map(verifierOf) }
}

/** @throws when no key of the set can sign at this moment. */
export function logSigner(keySet: AuditKeySet, now: Date): LogSigner {
  const nowSeconds = now.getTime() / 1000
  const [key] = keysInOrder(keySet.keys, nowSeconds).filter((key) => key.d !== undefined && isInUse(key, nowSeconds))
  if (key === undefined) throw new Error('there is no audit key to sign with now')
  const privateKey = createPrivateKey({ key: key as JsonWebKey, format: 'jwk' })
  const signer = { keyIdOf: verifierOf(key).keyIdOf, sign: async (text: Buffer) => sign(null, text, privateKey) }
  return { ...logVerifiers(keySet), signer }
}

function verifierOf({ kty, crv, x }: z.infer<typeof auditKey>): NoteVerifier {
  const publicKey: KeyObject = createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
  const bytes = Buffer.from(x, 'base64url')
  return { keyIdOf: (origin) => keyIdOf(origin, bytes), verify: (text, signature) => verify(null, text, publicKey, signature) }
}

/** C2SP signed-note: the first four bytes over the name, a line feed, the kind of key (1 is Ed25519) and the key. */
const keyIdOf = (origin: string, publicKey: Buffer): Buffer =>
  sha256(Buffer.concat([Buffer.from(`${origin}\n`), Buffer.of(1), publicKey])).subarray(0, 4)
