import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import * as jose from 'jose'
import { errors, Provider } from 'oidc-provider'
import libraryKeys from 'oidc-provider/lib/helpers/keystore.js'
import libraryJwtAuth, { type LibraryContext } from 'oidc-provider/lib/shared/jwt_client_auth.js'
import { outcome } from '../testing/outcome.ts'
import jwtClientAuth from './jwt-client-auth.ts'

test('an assertion is good, or refused for the reason, that the library has', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = new libraryKeys([{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one' }])
  const now = Math.floor(Date.now() / 1000)
  const good = { iss: 'client', sub: 'client', jti: 'once', aud: 'https://op.example', iat: now, exp: now + 60 }
  const changes: readonly object[] = [
    ...Object.keys(good).flatMap((name) => [undefined, '', 0, 'other', ['other'], null, {}].map((value) => ({ [name]: value }))),
    { aud: ['other', 'https://op.example'] },
    ...[{ exp: now - 1 }, { exp: now - 60 }, { nbf: now + 60 }, { nbf: 'soon' }, { iat: now + 60 }, { more: { nested: ['deep'] } }],
  ]
  const headers = [{}, { kid: 'other' }, { alg: 'ES384' }, { typ: 'other' }, { crit: ['b64'] }]
  const sign = (claims: object, header: object) =>
    new jose.CompactSign(Buffer.from(JSON.stringify({ ...good, ...claims })))
      .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
      .sign(pair.privateKey)
  const assertions = ['', 'a.b.c', 'a.b', undefined, await sign({}, {}).then((jwt) => `${jwt.slice(0, -8)}AAAAAAAA`)]
  for (const claims of changes) assertions.push(await sign(claims, {}))
  for (const header of headers) assertions.push(await sign({}, header).catch(() => 'e30.e30.e30'))

  const ways = [{}, { alg: 'ES256' }, { alg: 'PS256' }, { used: true }, { refused: true }]
  let refusals = 0
  for (const { alg, used, refused } of ways as { alg?: string; used?: true; refused?: true }[]) {
    const provider = new Provider('https://op.example', {
      clockTolerance: 5,
      assertJwtClientAuthClaimsAndHeader: async () => {
        if (refused) throw new errors.InvalidClientAuth('refused by us')
      },
    })
    const uses: unknown[] = []
    const unique = async (...use: unknown[]) => uses.push(use) > 0 && used !== true
    provider.ReplayDetection.unique = unique
    for (const assertion of assertions) {
      const ctx = {
        oidc: {
          ...{ provider, params: { client_assertion: assertion } },
          client: { clientId: 'client', ...(alg && { clientAuthSigningAlg: alg }) },
          clientJwtAuthExpectedAudience: () => new Set(['https://op.example']),
        },
      } as unknown as LibraryContext
      const outcomes: unknown[] = []
      for (const authenticate of [libraryJwtAuth, jwtClientAuth])
        outcomes.push([await outcome(() => authenticate(ctx, keys, (name) => !name.startsWith('HS'))), uses.splice(0)])
      const [expected, actual] = outcomes as [[object, unknown], unknown]
      assert.deepEqual(actual, expected, String(assertion))
      if (!Object.hasOwn(expected[0], 'value')) refusals++
    }
  }
  assert.ok(refusals > 150 && refusals < ways.length * assertions.length, `${refusals} refusals`)
})
