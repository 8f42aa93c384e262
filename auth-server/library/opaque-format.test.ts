import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { Provider } from 'oidc-provider'
import * as library from 'oidc-provider/lib/models/formats/opaque.js'
import * as ours from './opaque-format.ts'

/** With the order of the members, and who is its prototype. */
const shown = (picked: object) => [Object.entries(picked), Object.getPrototypeOf(picked) === Object.prototype]

test('what is kept of a model is what the library would keep', async () => {
  const extraTokenClaims = () => ({ grant_id: 'grant' })
  const provider = new Provider('https://op.example', { extraTokenClaims, ttl: { AccessToken: 60, AuthorizationCode: 60 } })
  const Session = provider.Session as unknown as new (payload: object) => object
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  try {
    const tokens = [
      () => new provider.AuthorizationCode({ accountId: 'amelia', scope: 'openid', nonce: undefined, claims: { id_token: null } } as never),
      () => new provider.AuthorizationCode({ iat: 1, exp: 2, jti: 'code' } as never),
      () => new Session({ uid: 'uid', jti: 'session', authorizations: { app: { sid: 'sid' } } }),
      () => new provider.AccessToken({ accountId: 'amelia', extra: { old: true } } as never),
      () => Object.assign(new provider.Grant({ accountId: 'amelia' } as never), { exp: 0, expiresIn: Number.NaN, unknown: 1 }),
    ]
    for (const make of tokens) {
      const [one, other] = [make(), make()] as unknown as library.Token[]
      if (one === undefined || other === undefined) throw new Error('never')
      const [kept, wanted] = [await ours.getValueAndPayload(provider, one), await library.getValueAndPayload(provider, other)]
      assert.equal(kept.value, wanted.value)
      assert.deepEqual(shown(kept.payload), shown(wanted.payload))
      assert.deepEqual(one['extra'], other['extra'])
    }
  } finally {
    mock.timers.reset()
  }
})
