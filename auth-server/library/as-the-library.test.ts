import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import querystring from 'node:querystring'
import { test } from 'node:test'
import Koa from 'koa'
import librarySnakeCase from 'oidc-provider/lib/helpers/_/snake_case.js'
import LibraryParams from 'oidc-provider/lib/helpers/params.js'
import libraryRedirectUri from 'oidc-provider/lib/helpers/redirect_uri.js'
import libraryPayload from 'oidc-provider/lib/models/payload.js'
import libraryCors from 'oidc-provider/lib/shared/cors.js'
import libraryRejectDupes from 'oidc-provider/lib/shared/reject_dupes.js'
import * as libraryBody from 'oidc-provider/lib/shared/selective_body.js'
import { parseForm } from '../http/parse-form.ts'
import { PlainAnswers } from '../http/plain-answers.ts'
import type { Context } from '../http/request-context.ts'
import { outcome } from '../testing/outcome.ts'
import cors from './cors.ts'
import payloadOf from './model-payload.ts'
import Params, { neverChanges } from './params.ts'
import redirectUri from './redirect-uri.ts'
import rejectDupes from './reject-dupes.ts'
import * as body from './selective-body.ts'
import snakeCase from './snake-case.ts'

type Sent = { readonly method: string; readonly headers: Record<string, string | number>; readonly body?: string; readonly path?: string }

/** One server for each way, and what each answers to the same requests. */
async function answersOf(listeners: readonly RequestListener[], requests: readonly Sent[]): Promise<unknown[][]> {
  return Promise.all(
    listeners.map(async (listener) => {
      const server = createServer(listener).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      try {
        const answers: unknown[] = []
        for (const one of requests) answers.push(await answerTo(port, one))
        return answers
      } finally {
        server.close()
        server.closeAllConnections()
      }
    }),
  )
}

async function answerTo(port: number, { body: text, ...sent }: Sent): Promise<unknown> {
  const asked = request({ host: '127.0.0.1', port, agent: false, ...sent }).end(text)
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
  const { date: _now, ...headers } = response.headers
  return { status: response.statusCode, headers, text: Buffer.concat(await response.toArray()).toString() }
}

async function assertSameAnswers([library, ours]: readonly [RequestListener, RequestListener], requests: readonly Sent[]): Promise<void> {
  const [expected = [], actual = []] = await answersOf([library, ours], requests)
  for (const [index, one] of requests.entries()) assert.deepEqual(actual[index], expected[index], JSON.stringify(one).slice(0, 200))
}

test('a form is what Node makes of it, however it is written', () => {
  const pieces = [
    'a',
    'b',
    '=',
    '=',
    '&',
    '&',
    '+',
    '%2B',
    '%26',
    '%3D',
    '%C3%A9',
    'é',
    '%',
    '%z',
    '%zz',
    '%ff',
    '%e',
    '__proto__',
    'toString',
    '\0',
  ]
  let seed = 7
  const next = () => (seed = (seed * 48_271) % 2_147_483_647)
  for (let round = 0; round < 5_000; round++) {
    const text = Array.from({ length: next() % 14 }, () => pieces[next() % pieces.length]).join('')
    assert.deepEqual(parseForm(text), querystring.parse(text), text)
  }
  for (const many of [99, 100, 101, 999, 1_000, 1_001]) {
    const text = Array.from({ length: many }, (_, index) => `name${index % 700}=%20${index}`).join('&')
    assert.deepEqual(parseForm(text), querystring.parse(text), `${many} pairs`)
  }
})

test('parameters are those of the list, in its order, and one that came twice is refused as the library refuses it', async () => {
  const names = new Set(['client_id', 'scope', 'request', 'state', 'resource'])
  const known = neverChanges(new Set(names))
  const Ours = Params as unknown as typeof LibraryParams
  const values = ['', 'one', ['one', 'two'], undefined]
  for (const scope of values)
    for (const state of values)
      for (const resource of values) {
        const given = () => Object.assign(Object.create(null), { unknown: 'x', state, resource, scope })
        const [library, ...others] = [new LibraryParams(names, given()), new Ours(names, given()), new Ours(known, given())]
        for (const ours of others as object[]) {
          assert.deepEqual(Object.entries(ours), Object.entries(library))
          assert.equal(Object.getPrototypeOf(ours), LibraryParams.prototype)
        }
        for (const which of [{}, undefined, { only: new Set(['scope']) }, { except: new Set(['resource']) }]) {
          const outcomes = await Promise.all(
            ([libraryRejectDupes, rejectDupes] as const).map(async (reject) => {
              const ctx = { oidc: { params: { ...new LibraryParams(names, given()) } } }
              return [await outcome(() => reject(which, ctx, () => 'went on')), ctx.oidc.params]
            }),
          )
          assert.deepEqual(outcomes[1], outcomes[0])
        }
      }
})

test('of a model is stored what its class lists, and nothing of a prototype', () => {
  const named = { IN_PAYLOAD: ['jti', 'grantId', 'rar', 'toString', '__proto__'] }
  const plain = { IN_PAYLOAD: ['jti', 'grantId', 'rar', 'toString'] }
  const inherited = Object.create({ grantId: 'inherited' }, { jti: { value: 'hidden', enumerable: false } })
  const inputs = [
    {},
    { jti: 'one', other: 1 },
    { rar: undefined, toString: 5 },
    JSON.parse('{"__proto__":{"jti":"x"},"grantId":"g"}'),
    inherited,
  ]
  for (const model of [named, plain])
    for (const input of [...inputs, 'text', 5, undefined, ['jti']]) {
      const [ours, library] = [payloadOf(model, input), libraryPayload(model, input)]
      assert.deepEqual(Object.getOwnPropertyDescriptors(ours), Object.getOwnPropertyDescriptors(library))
    }
  assert.throws(() => payloadOf(plain, null), { message: 'invalid model payload' })
})

test('answers say of other origins what the library says', async () => {
  const exposed = () => ['DPoP-Nonce', 'WWW-Authenticate']
  const served = (make: typeof cors, before: Record<string, string>) => {
    const app = new Koa()
    const middlewares = [{ exposeHeaders: exposed }, { exposeHeaders: () => [] }, { clientBased: true }, {}]
    app.use(async (ctx, next) => {
      ctx.set(before)
      const middleware = make({ allowMethods: 'POST', maxAge: 60, ...middlewares[Number(ctx.path.slice(1))] })
      Object.assign(ctx, { oidc: { once: () => ctx.set('X-Client', 'is asked') } })
      await middleware(ctx as never, next)
    })
    app.use((ctx) => {
      ctx.body = { went: 'on' }
    })
    return app.callback()
  }
  const headers = [{}, { origin: 'https://page.example' }, { origin: '' }, { origin: 'null', 'access-control-request-method': 'POST' }]
  const requests = ['GET', 'POST', 'OPTIONS'].flatMap((method) =>
    headers.flatMap((sent) => ['/0', '/1', '/2', '/3'].map((path) => ({ method, path, headers: sent as Record<string, string> }))),
  )
  for (const before of [{}, { Vary: 'Accept' }, { Vary: 'Origin' }, { 'Access-Control-Max-Age': '1' }, { 'X-Other': '1' }])
    await assertSameAnswers(
      [served(libraryCors, before as Record<string, string>), served(cors, before as Record<string, string>)],
      requests,
    )
})

test('a body is read, or refused, as the library does it', async () => {
  const served = ({ urlencoded }: Pick<typeof body, 'urlencoded'>) => {
    const app = new Koa()
    app.use(async (ctx) => {
      const oidc: { body?: unknown } = {}
      const result = await outcome(() => urlencoded(Object.assign(ctx, { oidc }) as never, async () => {}))
      ctx.body = { result, parsed: oidc.body ?? null }
    })
    return app.callback()
  }
  const form = 'application/x-www-form-urlencoded'
  const types = [
    form,
    `${form}; charset=utf-8`,
    form.toUpperCase(),
    `${form};charset=latin1`,
    `${form};charset=none`,
    'application/json',
    'text',
  ]
  const bodies = ['', 'a=1&b=%C3%A9&a=2', 'é=ü', '{"a":1}', `a=${'x'.repeat(56 * 1024 - 2)}`, `a=${'x'.repeat(56 * 1024)}`]
  const requests = bodies.flatMap((text) => [
    ...types.map((type) => ({ method: 'POST', body: text, headers: { 'content-type': type, 'content-length': Buffer.byteLength(text) } })),
    { method: 'POST', body: text, headers: { 'content-type': form, 'transfer-encoding': 'chunked' } },
    { method: 'POST', body: text, headers: { 'content-length': Buffer.byteLength(text) } },
    { method: 'PUT', body: text, headers: { 'content-type': form, 'content-length': Buffer.byteLength(text) } },
  ])
  await assertSameAnswers([served(libraryBody), served(body)], requests)
})

test('an answer is the one that Koa would give', async () => {
  const served = (app: Koa) => {
    const bodies: Record<string, (ctx: Context) => unknown> = {
      '/json': () => ({ a: 'é', b: undefined, c: [1n].length }),
      '/created': (ctx) => Object.assign(ctx, { status: 201 }) && { a: 1 },
      '/nothing': (ctx) => Object.assign(ctx, { status: 204 }) && { a: 1 },
      '/jwt': (ctx) => Object.assign(ctx, { type: 'application/jwt' }) && { a: 1 },
      '/list': () => [1, 2],
      '/text': () => 'text',
      '/page': () => '<p>page</p>',
      '/bytes': () => Buffer.from('bytes'),
      '/null': () => null,
      '/unwritable': () => ({ a: 1n }),
      '/own': (ctx) => Object.assign(ctx, { respond: false }) && ctx.res.end('own'),
    }
    app.silent = true
    app.use(async (ctx) => {
      if (ctx.path === '/refused') ctx.throw(403, 'refused')
      if (ctx.path === '/fault') throw new Error('fault')
      const made = bodies[ctx.path]?.(ctx as unknown as Context)
      if (ctx.path !== '/own' && made !== undefined) ctx.body = made
    })
    return app.callback()
  }
  const paths = [
    'json',
    'created',
    'nothing',
    'jwt',
    'list',
    'text',
    'page',
    'bytes',
    'null',
    'unwritable',
    'own',
    'refused',
    'fault',
    'unknown',
  ]
  const requests = paths.flatMap((path) => ['GET', 'HEAD', 'POST'].map((method) => ({ method, path: `/${path}`, headers: {} })))
  await assertSameAnswers([served(new Koa()), served(new PlainAnswers() as unknown as Koa)], requests)
})

test('a browser is led on to where Koa would lead it', async () => {
  const addresses = [
    ...['/interaction/uid', '', '?a=1', '/é?ü=%C3%BC', '/%zz%', '/a b{c}|^`d"<e>\\f', '//other.example/x'],
    ...[
      'https://app.example/cb?code=a-_.~&state=%7B%7D&iss=https%3A%2F%2Fop',
      'HTTPS://App.Example',
      'https://app.example/{a}?b=`c`|d^e f',
    ],
    ...[
      'com.example.app:/cb?code=x',
      'http://[::1]:3000/cb?x=[1]',
      'https://a:b@app.example/#f{g}',
      'https://bücher.example/%F0%9F%98%80?😀',
    ],
  ]
  const led = (app: Koa, address: string, status: number | undefined) => {
    const headers: Record<string, string> = {}
    const res = { setHeader: (name: string, value: string) => Object.assign(headers, { [name]: value }), getHeaders: () => headers }
    const ctx = app.createContext(
      { headers: {}, url: '/' } as never,
      Object.assign(res, { hasHeader: () => false, removeHeader: () => {}, getHeader: (name: string) => headers[name] }) as never,
    )
    if (status !== undefined) ctx.status = status
    ctx.redirect(address)
    return [ctx.status, headers['Location']]
  }
  const [ours, koa] = [new PlainAnswers() as unknown as Koa, new Koa()]
  for (const address of addresses)
    for (const status of [undefined, 200, 301, 303])
      assert.deepEqual(led(ours, address, status), led(koa, address, status), `${status} ${address}`)
})

test('where a client is answered is the address that the library writes', async () => {
  const plain = [
    'https://app.example/cb',
    'https://APP.example:443',
    'http://127.0.0.1:3000/a b/é',
    'com.example.app:/cb',
    'https://bücher.example/{a}',
  ]
  const others = ['https://app.example/cb?a=1&code=old', 'https://app.example/cb?', 'https://app.example/cb#part', 'no address', '']
  const payloads = [
    {},
    { code: 'a-_.~', state: 'é &=+%/?#{}|^`"<>\\', iss: 'https://op.example' },
    { error: '😀', number: 1 as never, none: null as never },
  ]
  for (const uri of [...plain, ...plain, ...others])
    for (const payload of payloads)
      for (const mode of ['query', 'fragment', undefined])
        assert.deepEqual(
          await outcome(() => redirectUri(uri, payload, mode)),
          await outcome(() => libraryRedirectUri(uri, payload, mode)),
          `${uri} ${mode}`,
        )
})

test('names are written as the library writes them', () => {
  for (const name of [
    'AccessToken',
    'PushedAuthorizationRequest',
    'clientId',
    'x5t#S256',
    'userinfoSignedResponseAlg',
    '',
    'ABC',
    'AccessToken',
  ])
    assert.equal(snakeCase(name), librarySnakeCase(name))
  assert.equal(snakeCase(), librarySnakeCase())
})
