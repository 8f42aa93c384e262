import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { createSigningKey, createSigningKeys } from '@bankside/certs/signing-keys'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { type CryptoKey, exportJWK, importJWK, jwtVerify } from 'jose'
import { ExternalSigningKey, Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { createAuthServerMetrics } from '../metrics.ts'
import { testSecrets } from '../testing/test-server.ts'
import { followKeys } from './follow-keys.ts'
import { type KeyMaterial, keySettings, keysAt } from './key-material.ts'

const start = 1_800_000_000
const secrets = keySettings.SECRETS.parse(JSON.stringify(testSecrets(Buffer.alloc(32))))
const NOTIFICATION_KEYS = keySettings.NOTIFICATION_KEYS.parse('A'.repeat(43))

function followed(first: KeyMaterial) {
  const state = { now: start, material: first as KeyMaterial | Error, made: [] as string[][], logged: [] as string[] }
  const log = createLog({ level: 'info', name: 'test' }, { write: (line: string) => void state.logged.push(line) })
  const metrics = createAuthServerMetrics(createMetrics('auth-server'))
  const dependencies = { clock: { now: () => new Date(state.now * 1000) }, log, metrics, config: keysAt(first, start) }
  const server = followKeys(
    ({ config }) => {
      state.made.push(config.SIGNING_KEYS.keys.map(({ kid }) => kid ?? ''))
      return { issuer: async () => {}, mtls: async () => {}, deliverLogouts: async () => 0 }
    },
    dependencies as unknown as AuthServerDependencies,
    {
      source: {
        read: async () => {
          if (state.material instanceof Error) throw state.material
          return state.material
        },
      },
      onChange: () => {},
    },
  )
  return { state, server, metrics }
}

test('OIDC-09 a server is made anew when a key begins or ends, and only then', async (t) => {
  const [old, next] = await Promise.all([createSigningKeys(), createSigningKeys()])
  const keys = [...old.keys.map((key) => ({ ...key, exp: start + 200 })), ...next.keys.map((key) => ({ ...key, nbf: start + 100 }))]
  const [oldKids, nextKids] = [old, next].map((set) => set.keys.map(({ kid }) => kid ?? ''))
  const { state, server } = followed({ SIGNING_KEYS: { keys }, SECRETS: secrets, NOTIFICATION_KEYS })
  t.after(() => server.stop())
  for (const seconds of [0, 50, 100, 150, 200, 250]) {
    state.now = start + seconds
    await server.follow()
  }
  assert.deepEqual(state.made, [[...(oldKids ?? []), ...(nextKids ?? [])], [...(nextKids ?? []), ...(oldKids ?? [])], nextKids])
})

test('keys that cannot be read, or leave nothing to sign with, change nothing, and are told and counted', async (t) => {
  const keys = await createSigningKeys()
  const { state, server, metrics } = followed({ SIGNING_KEYS: keys, SECRETS: secrets, NOTIFICATION_KEYS } as KeyMaterial)
  t.after(() => server.stop())
  const late = keys.keys.map((key) => ({ ...key, nbf: start + 1 }))
  for (const broken of [new Error('half a file'), { SIGNING_KEYS: { keys: late }, SECRETS: secrets, NOTIFICATION_KEYS } as KeyMaterial]) {
    state.material = broken
    await server.follow()
  }
  assert.equal(state.made.length, 1)
  assert.match(state.logged.join(''), /half a file.*no ES256 key is in use now/s)
  assert.equal((await metrics.keyFaults.get()).values[0]?.value, 2)
})

/** As a key service would: the private part is nowhere in the configuration. */
class KeyElsewhere extends ExternalSigningKey {
  private readonly privateKey: KeyObject
  constructor(privateKey: KeyObject, kid: string) {
    super()
    this.privateKey = privateKey
    Object.assign(this, { kid, alg: 'ES256' })
  }
  override keyObject(): KeyObject {
    return createPublicKey(this.privateKey)
  }
  override sign(data: Uint8Array): Uint8Array {
    return sign('sha256', data, { key: this.privateKey, dsaEncoding: 'ieee-p1363' })
  }
}

test('FAPI2-CR-09 a key whose private part is elsewhere is taken, ordered, and signs', async () => {
  const [jwk, rsa] = await Promise.all([createSigningKey('ES256'), createSigningKey('PS256')])
  const elsewhere = new KeyElsewhere(createPrivateKey({ key: jwk as never, format: 'jwk' }), 'in-the-module')
  const { SIGNING_KEYS } = keysAt({ SIGNING_KEYS: { keys: [rsa, elsewhere] }, SECRETS: secrets, NOTIFICATION_KEYS }, start)
  const provider = new Provider('https://issuer.example', {
    jwks: { keys: SIGNING_KEYS.keys },
    features: { externalSigningSupport: { enabled: true, ack: 'experimental-01' } },
    clients: [
      {
        client_id: 'one',
        redirect_uris: [],
        grant_types: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
        token_endpoint_auth_method: 'none',
      },
    ],
  })
  const client = await provider.Client.find('one')
  assert.ok(client)
  const token = new provider.IdToken({ sub: 'someone' }, { client } as never)
  const signed = await token.issue({ use: 'idtoken' } as never)
  const publicKey = (await importJWK(await exportJWK(elsewhere.keyObject()), 'ES256')) as CryptoKey
  assert.equal((await jwtVerify(signed, publicKey)).protectedHeader.kid, 'in-the-module')
})
