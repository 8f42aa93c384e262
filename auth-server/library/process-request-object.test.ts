import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import { errors, Provider } from 'oidc-provider'
import library from 'oidc-provider/lib/actions/authorization/process_request_object.js'
import type { LibraryContext } from 'oidc-provider/lib/actions/authorization/request_parameters.js'
import { outcome } from '../testing/outcome.ts'
import processRequestObject from './process-request-object.ts'
import { getAuthorizationParams } from './request-parameters.ts'

const issuer = 'https://op.example'
const now = Math.floor(Date.now() / 1000)
const good = {
  ...{ client_id: 'client', iss: 'client', aud: issuer, iat: now, nbf: now, exp: now + 60 },
  ...{ response_type: 'code', redirect_uri: 'https://app.example/cb', scope: 'openid', state: 'state' },
}
const values = [undefined, '', 0, 'other', ['client'], ['a', 'b'], null, {}, [{ type: 'a' }], { id_token: { acr: null } }, true]
const changed = ['client_id', 'iss', 'aud', 'iat', 'nbf', 'exp', 'response_type', 'scope', 'claims', 'authorization_details', 'resource']
const claims: readonly object[] = [
  ...[...changed, 'request', 'request_uri', 'unknown', 'dpop_jkt', 'toString'].flatMap((name) =>
    values.map((value) => ({ [name]: value })),
  ),
  ...[{ exp: now - 60 }, { nbf: now + 60 }, { iat: now + 60, exp: undefined }, { aud: ['other', issuer] }],
]
const requests = [
  ...['', 'a.b', 'a.b.c', 'e30.e30.', 'e30.bnVsbA.', undefined],
  ...claims.map((change) => new UnsecuredJWT({ ...good, ...change } as never).encode()),
]
const ways: readonly { params?: object; pushed?: object | undefined; route?: string; refused?: true }[] = [
  {},
  { pushed: { trusted: true, dpopJkt: 'jkt' } },
  { pushed: { dpopJkt: 'jkt' } },
  { pushed: undefined },
  { params: { client_id: 'other' } },
  { params: { client_id: undefined } },
  { params: { response_type: 'code id_token' } },
  { params: { state: 'of the address' } },
  { route: 'resume' },
  { refused: true },
]

test('a pushed request is read, or refused for the reason, that the library has', async () => {
  let [accepted, refusals] = [0, 0]
  for (const { params, pushed, route, refused } of ways.map((way) => ({ pushed: { trusted: true }, route: 'authorization', ...way }))) {
    const asked: unknown[] = []
    const provider = new Provider(issuer, {
      clockTolerance: 5,
      extraParams: ['toString'],
      features: {
        claimsParameter: { enabled: true },
        richAuthorizationRequests: { enabled: true, types: {} },
        requestObjects: {
          enabled: true,
          assertJwtClaimsAndHeader: async (_ctx, payload, header) => {
            asked.push(payload, header)
            if (refused) throw new errors.InvalidRequestObject('refused by us')
          },
        },
      },
    })
    for (const request of requests) {
      const outcomes: unknown[] = []
      for (const process of [library, processRequestObject]) {
        const ctx = { oidc: { provider, issuer, route, client: { clientId: 'client' } } } as unknown as LibraryContext
        const given = { request, request_uri: undefined, client_id: 'client', ...params } as Record<string, unknown>
        const all = Object.fromEntries([...getAuthorizationParams(ctx)].map((name) => [name, given[name]]))
        Object.assign(ctx.oidc, { params: all, entities: pushed === undefined ? {} : { PushedAuthorizationRequest: pushed } })
        const end = await outcome(() => process(ctx, async () => 'next'))
        // What the library leaves behind when it refuses, nobody reads.
        const left = Object.hasOwn(end as object, 'value') ? [Object.entries(all), ctx.oidc.trusted] : []
        outcomes.push([end, left, asked.splice(0)])
      }
      const [expected, actual] = outcomes as [[object], unknown]
      assert.deepEqual(actual, expected, `${request} ${JSON.stringify({ params, pushed, route })}`)
      if (Object.hasOwn(expected[0], 'value')) accepted++
      else refusals++
    }
  }
  assert.ok(accepted > 200 && refusals > 200, `${accepted} accepted, ${refusals} refused`)
})
