import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import type { CryptoKeyPair } from 'openid-client'
import { type Answer, readAnswer } from './answer.ts'
import { signingKey, type ThirdParty, usesCertificate } from './third-party.ts'

/**
 * What an attacker, or a careless client, sends: proofs, assertions and forms made by hand, and sent as often as wanted.
 * A well-behaved library cannot be made to do any of this.
 */
export type Proof = {
  htm: string
  htu: string
  accessToken?: string | undefined
  nonce?: string | undefined
  jti?: string
  iat?: number
  typ?: string
}

export async function handmadeProof(
  keys: CryptoKeyPair,
  { htm, htu, accessToken, nonce, jti = randomUUID(), iat, typ = 'dpop+jwt' }: Proof,
): Promise<string> {
  const ath = accessToken && createHash('sha256').update(accessToken).digest('base64url')
  return await new SignJWT({ htm, htu, jti, ...(ath ? { ath } : {}), ...(nonce ? { nonce } : {}) })
    .setProtectedHeader({ alg: 'ES256', typ, jwk: await exportJWK(keys.publicKey) })
    .setIssuedAt(iat)
    .sign(keys.privateKey)
}

export type Assertion = { audience?: string | string[]; jti?: string; lifetime?: string; issuedAt?: number }

export async function handmadeAssertion({ client, sandbox }: ThirdParty, assertion: Assertion = {}): Promise<string> {
  const { key, kid, alg } = await signingKey(client)
  return await new SignJWT({ jti: assertion.jti ?? randomUUID() })
    .setProtectedHeader({ alg, kid })
    .setIssuer(client.client_id)
    .setSubject(client.client_id)
    .setAudience(assertion.audience ?? sandbox.issuer)
    .setIssuedAt(assertion.issuedAt)
    .setExpirationTime(assertion.lifetime ?? '1m')
    .sign(key)
}

/** The endpoint that this client uses: the mTLS alias when it shows a certificate. */
export function endpointOf(
  { configuration, client }: ThirdParty,
  name: 'token_endpoint' | 'pushed_authorization_request_endpoint',
): string {
  const metadata = configuration.serverMetadata()
  const endpoint = (usesCertificate(client) ? metadata.mtls_endpoint_aliases?.[name] : undefined) ?? metadata[name]
  if (endpoint === undefined) throw new Error(`the metadata has no ${name}`)
  return endpoint
}

export async function clientAuthenticationForm(thirdParty: ThirdParty, assertion?: string): Promise<Record<string, string>> {
  const { client_id, token_endpoint_auth_method } = thirdParty.client
  if (token_endpoint_auth_method === 'tls_client_auth') return { client_id }
  return {
    client_id,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion ?? (await handmadeAssertion(thirdParty)),
  }
}

export async function postForm(
  thirdParty: Pick<ThirdParty, 'fetch'>,
  url: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const sent = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json', ...headers }
  return await readAnswer(await thirdParty.fetch(url, { method: 'POST', headers: sent, body: new URLSearchParams(form) }))
}

/** Posts with a proof of possession, and once more when the server asks for its nonce. */
export async function postFormWithProof(thirdParty: ThirdParty, url: string, form: () => Promise<Record<string, string>>): Promise<Answer> {
  const proof = async (nonce?: string) => ({ dpop: await handmadeProof(thirdParty.proofKeys, { htm: 'POST', htu: url, nonce }) })
  const first = await postForm(thirdParty, url, await form(), await proof())
  if (first.at('error') !== 'use_dpop_nonce') return first
  return await postForm(thirdParty, url, await form(), await proof(first.headers.get('dpop-nonce') ?? undefined))
}

export async function get(thirdParty: Pick<ThirdParty, 'fetch'>, url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return await readAnswer(await thirdParty.fetch(url, { method: 'GET', headers: { accept: 'application/json', ...headers } }))
}

/** A `code_verifier` and its S256 challenge. */
export function pkce(): { codeVerifier: string; codeChallenge: string } {
  const codeVerifier = randomBytes(32).toString('base64url')
  return { codeVerifier, codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url') }
}
