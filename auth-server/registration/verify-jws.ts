import { compactVerify, decodeProtectedHeader, errors, importJWK, type JWK } from 'jose'

export type VerifiedJws = { readonly kid: string; readonly claims: Readonly<Record<string, unknown>> }

/** PS256, and ES256 by policy; never what a key in the header says (SSA-01, UKDCR-01). */
const algorithms = { PS256: 'RSA', ES256: 'EC' } as const
/** A key comes from the directory, and from nowhere that a header could name (CERT-14). */
const namesKeys = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256']
const types: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'jwt', 'application/jwt'])

/** Whose keys a JWS is looked up in: those that are known, and those that a second look may bring. */
export type KeyLookup = { readonly current: () => Promise<readonly JWK[]>; readonly again: () => Promise<readonly JWK[]> }

/** Why a JWS is not taken: for its sender, who signed it. */
export class JwsProblem extends Error {
  override name = 'JwsProblem'
}

/**
 * Verifies a compact JWS with the key that its `kid` names. Of several keys with that id each is tried (FAPI2-CR-08). It does
 * NOT look at any claim.
 *
 * @throws {JwsProblem}
 */
export async function verifyJws(jws: string, keys: KeyLookup): Promise<VerifiedJws> {
  const { alg, kid } = headerOf(jws)
  const fits = (key: JWK) => key.kid === kid && key.kty === algorithms[alg] && (key.alg ?? alg) === alg && (key.use ?? 'sig') === 'sig'
  const known = (await keys.current()).filter(fits)
  const candidates = known.length > 0 ? known : (await keys.again()).filter(fits)
  if (candidates.length === 0) throw new JwsProblem('kid names no key')
  for (const key of candidates) {
    const payload = await payloadOf(jws, key, alg)
    if (payload !== undefined) return { kid, claims: claimsIn(payload) }
  }
  throw new JwsProblem('the signature is wrong')
}

function headerOf(jws: string): { alg: keyof typeof algorithms; kid: string } {
  const header = decoded(jws)
  const { alg, kid, typ, crit } = header
  if (alg === undefined || !Object.hasOwn(algorithms, alg)) throw new JwsProblem('alg must be PS256 or ES256')
  if (typeof kid !== 'string' || kid === '') throw new JwsProblem('kid is missing')
  if (!types.has(typ)) throw new JwsProblem('typ is that of another kind of JWT')
  if (crit !== undefined) throw new JwsProblem('crit is not understood')
  const named = namesKeys.find((name) => name in header)
  if (named !== undefined) throw new JwsProblem(`${named} is not accepted: keys come from the directory`)
  return { alg: alg as keyof typeof algorithms, kid }
}

function decoded(jws: string): ReturnType<typeof decodeProtectedHeader> {
  try {
    return decodeProtectedHeader(jws)
  } catch (cause) {
    throw new JwsProblem('not a compact JWS', { cause })
  }
}

async function payloadOf(jws: string, key: JWK, alg: string): Promise<Uint8Array | undefined> {
  try {
    return (await compactVerify(jws, await importJWK(key, alg), { algorithms: [alg] })).payload
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return undefined
    throw new JwsProblem('the signature cannot be verified', { cause: error })
  }
}

function claimsIn(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as Record<string, unknown>
  } catch (cause) {
    throw new JwsProblem('the payload is not JSON', { cause })
  }
  throw new JwsProblem('the payload is no object')
}
