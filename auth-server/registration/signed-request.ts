import { z } from 'zod'
import type { KeySets } from '../client-keys/key-sets.ts'
import { refuseRegistration } from './registration-refusal.ts'
import { lookupAt, type SoftwareStatement, type StatementTrust, verifySoftwareStatement } from './software-statement.ts'
import { JwsProblem, verifyJws } from './verify-jws.ts'

/** A registration request as a third party signed it, with the statement it stands on. */
export type SignedRequest = {
  readonly claims: RequestClaims
  /** Everything it says, JWT claims included. */
  readonly all: Readonly<Record<string, unknown>>
  readonly statement: SoftwareStatement
}
export type RequestClaims = z.infer<typeof requestClaims>

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
const clockSkewSeconds = 15
const validAtMostSeconds = 3_600

const requestClaims = z.object({
  iss: z.string().regex(/^[0-9a-zA-Z]{1,22}$/, 'must be the software_id'),
  iat: z.int(),
  exp: z.int(),
  aud: z.string('must be one text'),
  jti: z.string().regex(uuid4, 'must be a UUID of version 4'),
  software_statement: z.string(),
})

export type RequestTrust = StatementTrust & {
  /** The organisation id of the bank, and its issuer. */
  readonly audiences: readonly string[]
  /** Whether an identifier is used for the first time; it is used up by asking. */
  readonly useOnce: (issuer: string, identifier: string, expiresAtSeconds: number) => Promise<boolean>
}

/**
 * Verifies a registration request of UK dynamic client registration: signed with a key that the directory publishes for the
 * software of its statement, for this bank, now, and for the first time (UKDCR-01, UKDCR-02).
 *
 * @throws {Refusal}
 */
export async function verifySignedRequest(jws: string, trust: RequestTrust): Promise<SignedRequest> {
  const statement = await verifySoftwareStatement(statementIn(jws), trust)
  const all = await verifiedClaims(jws, statement, trust.keySets)
  const parsed = requestClaims.safeParse(all)
  if (!parsed.success) refuseMetadata(parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; '))
  const claims = parsed.data
  if (claims.iss !== statement.claims.software_id) refuseMetadata('iss must be the software_id of the statement')
  if (!trust.audiences.includes(claims.aud)) refuseMetadata('aud must be the organisation id of this bank')
  assertNow(claims, trust.now.getTime() / 1000)
  if (!(await trust.useOnce(`registration ${statement.directory.issuer} ${claims.iss}`, claims.jti, claims.exp + clockSkewSeconds)))
    refuseMetadata('jti was used before')
  return { claims, all, statement }
}

/** Read before anything is verified, only to learn whose keys verify it. */
function statementIn(jws: string): unknown {
  try {
    const [, payload = ''] = jws.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown> | null
    return claims?.['software_statement']
  } catch (cause) {
    return refuseRegistration('invalid_client_metadata', 'the request is not a JWT', { cause })
  }
}

async function verifiedClaims(jws: string, { claims }: SoftwareStatement, keySets: KeySets): Promise<Readonly<Record<string, unknown>>> {
  try {
    const verified = await verifyJws(jws, lookupAt(keySets, claims.software_jwks_endpoint))
    await assertNotRevoked(verified.kid, claims.software_jwks_revoked_endpoint, keySets)
    return verified.claims
  } catch (error) {
    if (error instanceof JwsProblem) refuseMetadata(`the request: ${error.message}`, error)
    throw error
  }
}

/** Where nothing was revoked the set is empty. One that cannot be got could name any key, so then nobody registers. */
async function assertNotRevoked(kid: string, uri: string | undefined, keySets: KeySets): Promise<void> {
  if (uri === undefined) return
  const revoked = await lookupAt(keySets, uri).current()
  if (revoked.some((key) => key.kid === kid)) throw new JwsProblem('the key was revoked')
}

function assertNow({ iat, exp }: RequestClaims, nowSeconds: number): void {
  if (exp <= nowSeconds - clockSkewSeconds) refuseMetadata('the request has expired')
  if (iat > nowSeconds + clockSkewSeconds) refuseMetadata('iat lies in the future')
  if (exp - iat > validAtMostSeconds || exp <= iat) refuseMetadata(`exp must be at most ${validAtMostSeconds} s after iat`)
}

function refuseMetadata(message: string, cause?: unknown): never {
  refuseRegistration('invalid_client_metadata', message, { cause })
}
