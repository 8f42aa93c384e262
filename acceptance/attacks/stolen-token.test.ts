import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as openid from 'openid-client'
import { type Consented, read, shareAccounts } from '../rig/consented.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import type { Answer } from '../third-party/answer.ts'
import * as forgery from '../third-party/forgery.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import { aisp } from '../third-party/uk-open-banking.ts'

let rig: Rig
let dpop: Consented
let mtls: Consented
before(async () => {
  rig = await openRig()
  dpop = await shareAccounts(rig, { clientId: 'tpp-pkjwt-dpop' })
  mtls = await shareAccounts(rig, { clientId: 'tpp-tls-mtls' })
})
after(() => rig?.close())

const accountsUrl = () => aisp({ sandbox: rig.description }, '/accounts')
const nobody = () => ({ fetch: httpsFetch({ caFile: rig.description.ca_file }) })
const proofFor = (change: Partial<forgery.Proof> = {}, keys = dpop.thirdParty.proofKeys) =>
  forgery.handmadeProof(keys, { htm: 'GET', htu: accountsUrl(), accessToken: dpop.tokens.access_token, ...change })

async function presented(proof: string, { scheme = 'DPoP', url = accountsUrl() } = {}): Promise<Answer> {
  return await forgery.get(nobody(), url, { authorization: `${scheme} ${dpop.tokens.access_token}`, dpop: proof })
}

function assertRefused(answer: Answer, what: string): void {
  assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`)
  assert.ok(answer.headers.get('www-authenticate'), `${what}: no challenge`)
  assert.ok(answer.headers.get('x-fapi-interaction-id'), `${what}: no interaction id`)
}

test('FAPI2-RS-05 DPOP-06 a DPoP token as a bearer token is refused, with and without a proof', async () => {
  assertRefused(await forgery.get(nobody(), accountsUrl(), { authorization: `Bearer ${dpop.tokens.access_token}` }), 'no proof')
  assertRefused(await presented(await proofFor(), { scheme: 'Bearer' }), 'with a proof')
})

test('FAPI2-RS-05 DPOP-01 a proof by another key, for another method, URL or token, old, early or of another type is refused', async () => {
  const now = Math.floor(Date.now() / 1000)
  const thief = await openid.randomDPoPKeyPair('ES256')
  assertRefused(await presented(await proofFor({}, thief)), 'another key')
  const changes: [string, Partial<forgery.Proof>][] = [
    ['another method', { htm: 'POST' }],
    ['another URL', { htu: `${accountsUrl()}/x` }],
    ['another token', { accessToken: mtls.tokens.access_token }],
    ['no token', { accessToken: undefined }],
    ['old', { iat: now - 3600 }],
    ['from the future', { iat: now + 3600 }],
    ['another type', { typ: 'JWT' }],
  ]
  for (const [what, change] of changes) assertRefused(await presented(await proofFor(change)), what)
  assertRefused(await forgery.get(nobody(), accountsUrl(), { authorization: `DPoP ${dpop.tokens.access_token}` }), 'no proof at all')
})

test('DPOP-02 FAPI2-RS-06 the query is not part of htu, and the scheme may be in small letters', async () => {
  assert.equal((await presented(await proofFor(), { url: `${accountsUrl()}?x=1`, scheme: 'dpop' })).status, 200)
})

test('FAPI2-RS-05 MTLS a certificate-bound token without the certificate, or with that of another client, is refused', async () => {
  const authorization = `Bearer ${mtls.tokens.access_token}`
  assertRefused(await forgery.get(nobody(), accountsUrl(), { authorization }), 'no certificate')
  const others = (await rig.thirdParty('tpp-pkjwt-mtls')).fetch
  assertRefused(await forgery.get({ fetch: others }, accountsUrl(), { authorization }), 'another certificate')
  assert.equal((await read(mtls, '/accounts')).status, 200)
})

test('BCP-15 a certificate in a header is nobody’s certificate', async () => {
  const authorization = `Bearer ${mtls.tokens.access_token}`
  for (const header of ['x-client-cert', 'x-forwarded-client-cert', 'client-cert', 'x-ssl-client-cert'])
    assertRefused(await forgery.get(nobody(), accountsUrl(), { authorization, [header]: ':MIIB:' }), header)
})

test('FAPI2-RS-02 BCP-10 a token in the query string is refused', async () => {
  const answer = await forgery.get(mtls.thirdParty, `${accountsUrl()}?access_token=${mtls.tokens.access_token}`)
  assert.ok([400, 401].includes(answer.status))
})

test('FAPI2-RS-03 AT-01 AT-02 a tampered token, an ID token and an unsigned token are refused', async () => {
  const [head = '', payload = '', signature = ''] = mtls.tokens.access_token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const wider = Buffer.from(JSON.stringify({ ...claims, scope: 'openid accounts payments' })).toString('base64url')
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
  const tokens = [`${head}.${wider}.${signature}`, `${none}.${payload}.`, mtls.tokens.id_token ?? '', `${head}.${payload}.`]
  for (const token of tokens)
    assertRefused(await forgery.get(mtls.thirdParty, accountsUrl(), { authorization: `Bearer ${token}` }), token.slice(0, 30))
})

test('ATK-05 a token of another issuer, bound to the right certificate, is refused', async () => {
  const payload = JSON.parse(Buffer.from(mtls.tokens.access_token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'mine', jwk: await exportJWK(publicKey) }
  const forged = await new SignJWT({ ...payload, jti: randomUUID() }).setProtectedHeader(header).sign(privateKey)
  assertRefused(await forgery.get(mtls.thirdParty, accountsUrl(), { authorization: `Bearer ${forged}` }), 'another key')
})

test('BCP-06 a refresh token is good for nobody but its client', async () => {
  const other = await rig.thirdParty('tpp-pkjwt-mtls')
  const form = {
    ...(await forgery.clientAuthenticationForm(other)),
    grant_type: 'refresh_token',
    refresh_token: mtls.tokens.refresh_token ?? '',
  }
  const answer = await forgery.postForm(other, forgery.endpointOf(other, 'token_endpoint'), form)
  assert.deepEqual([answer.status, answer.at('error')], [400, 'invalid_grant'])
  assert.ok((await mtls.thirdParty.refresh(mtls.tokens.refresh_token ?? '')).access_token)
})
