import { createPublicKey, X509Certificate } from 'node:crypto'
import type { ClientMetadata } from '../client-policy.ts'
import type { Profile } from './profiles.ts'

const maxKeys = 10
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** What is wrong with the keys that a client registers by value, or with the address at which it publishes them. */
export function keySetProblems(metadata: ClientMetadata, profile: Profile): readonly string[] {
  const uri = metadata['jwks_uri']
  const jwks = metadata['jwks'] as { keys?: unknown } | undefined
  if (uri !== undefined) return [...keyAddressProblems(uri), ...(jwks === undefined ? [] : ['either jwks or jwks_uri'])]
  if (jwks === undefined) return needsKeys(metadata, profile) ? ['jwks or jwks_uri is needed'] : []
  const list = jwks?.keys
  if (!Array.isArray(list) || list.length === 0 || list.length > maxKeys) return [`jwks must hold 1 to ${maxKeys} keys`]
  return [...list.flatMap((jwk) => keyProblems(jwk, profile)), ...certificateProblems(metadata, list)]
}

/** RFC 8705 section 2.2.2: the certificate stands with its key, and it is this key's. */
function certificateProblems(metadata: ClientMetadata, keys: readonly unknown[]): readonly string[] {
  const certified = keys.filter((key) => typeof key === 'object' && key !== null && 'x5c' in key)
  if (metadata['token_endpoint_auth_method'] === 'self_signed_tls_client_auth' && certified.length === 0)
    return ['a key with its certificate (x5c) is needed']
  return certified.every(isOfItsCertificate) ? [] : ['x5c must begin with a certificate of the key']
}

function isOfItsCertificate(jwk: unknown): boolean {
  try {
    const { x5c, ...key } = jwk as { x5c: [string] }
    const { publicKey } = new X509Certificate(Buffer.from(x5c[0], 'base64'))
    return publicKey.equals(createPublicKey({ key, format: 'jwk' }))
  } catch {
    return false
  }
}

const needsKeys = (metadata: ClientMetadata, { requestObjects }: Profile): boolean =>
  requestObjects === 'required' || metadata['token_endpoint_auth_method'] !== 'tls_client_auth'

const addressAtMostLength = 1_024

/** Where it may lead is looked at when it is asked: names change. */
function keyAddressProblems(uri: unknown): readonly string[] {
  const url = typeof uri === 'string' && uri.length <= addressAtMostLength ? URL.parse(uri) : null
  const fits = url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === ''
  return fits ? [] : ['jwks_uri must be an https URI']
}

export function keyProblems(jwk: unknown, { minRsaBits, signingAlgorithms }: Profile): readonly string[] {
  const allowed: readonly string[] = signingAlgorithms
  if (typeof jwk !== 'object' || jwk === null) return ['a key must be an object']
  const key = jwk as ClientMetadata
  if (privateMembers.some((member) => member in key)) return ['jwks must hold public keys only']
  if (key['use'] !== undefined && key['use'] !== 'sig') return ['keys are for signatures: use must be sig']
  if (key['alg'] !== undefined && !allowed.includes(String(key['alg']))) return [`alg of a key must be one of ${allowed.join(', ')}`]
  if (key['kty'] === 'RSA') return rsaBits(key['n']) >= minRsaBits ? [] : [`RSA keys have at least ${minRsaBits} bits`]
  const algorithm = curveAlgorithms[`${key['kty']} ${key['crv']}`]
  return algorithm !== undefined && allowed.includes(algorithm) ? [] : ['keys are RSA, P-256 or, where the profile has EdDSA, Ed25519']
}

const curveAlgorithms: Readonly<Record<string, string>> = { 'EC P-256': 'ES256', 'OKP Ed25519': 'EdDSA' }

function rsaBits(modulus: unknown): number {
  const bytes = Buffer.from(typeof modulus === 'string' ? modulus : '', 'base64url')
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}
