import assert from 'node:assert/strict'
import { test } from 'node:test'
import getAuthorization from 'oidc-provider/lib/actions/authorization/index.js'
import introspection from 'oidc-provider/lib/actions/introspection.js'
import revocation from 'oidc-provider/lib/actions/revocation.js'
import token from 'oidc-provider/lib/actions/token.js'
import userinfo from 'oidc-provider/lib/actions/userinfo.js'
import type { Middleware } from 'oidc-provider/lib/helpers/router.js'
import { oneAfterAnother, passable } from './one-after-another.ts'

/** Those that are modules of ours. */
const ofOurs: ReadonlySet<string> = new Set([
  ...['cors', 'urlencoded', 'rejectClientAuthDupes', 'assembleAuthorizationParams', 'stripOutsideJarParams', 'bound rejectDupes'],
  'processRequestObject',
])
/** As the library writes it that something goes on and does no more. */
const last = /(?:return|await) (?:[\w.]+\([^;]*\bnext\)|next\(\));\s*\}/g

test('whoever is passed by does nothing after going on, whichever endpoint has one of its name', () => {
  const authorizations = ['authorization', 'resume', 'pushed_authorization_request', 'backchannel_authentication'].map(getAuthorization)
  const all = [introspection, revocation, token, userinfo, ...authorizations].flat()
  for (const name of passable) {
    if (ofOurs.has(name)) continue
    const sources = new Set(all.filter((middleware) => middleware.name === name).map(String))
    assert.ok(sources.size > 0, `there is no ${name}`)
    for (const source of sources) {
      const goings = source.match(/\bnext\b/g) ?? []
      const lastly = (source.match(last) ?? []).join(' ').match(/\bnext\b/g) ?? []
      assert.ok(goings.length > 1 && lastly.length === goings.length - 1, `${name} goes on otherwise:\n${source}`)
      assert.doesNotMatch(source, /try \{[^}]*\bnext\b/, name)
    }
  }
})

test('a request goes through a route as it would from one middleware to the next', async () => {
  const told: string[] = []
  const step = (name: string, run: Middleware): Middleware => Object.defineProperty(run, 'name', { value: name })
  const around = step('errorHandler', async (_ctx, next) => {
    told.push('in')
    try {
      await next()
    } catch (error) {
      told.push(`caught ${(error as Error).message}`)
    }
    told.push('out')
  })
  const passed = step('checkScope', async (_ctx, next) => {
    await null
    told.push('passed')
    return next()
  })
  const passedAtOnce = step('checkPrompt', (_ctx, next) => {
    told.push('passed at once')
    return next()
  })
  const ends = step('checkMaxAge', async () => void told.push('ends here'))
  const fails = step('checkPKCE', () => {
    throw new Error('refused')
  })
  const go = async (...middlewares: Middleware[]) => {
    await oneAfterAnother(middlewares)({ oidc: {} }, async () => void told.push('beyond'))
    return told.splice(0)
  }
  assert.deepEqual(await go(passed, passedAtOnce, around, passedAtOnce, passed), [
    'passed',
    'passed at once',
    'in',
    'passed at once',
    'passed',
    'beyond',
    'out',
  ])
  assert.deepEqual(await go(around, passed, ends, passedAtOnce), ['in', 'passed', 'ends here', 'out'])
  assert.deepEqual(await go(around, around, passed, fails, passed), ['in', 'in', 'passed', 'caught refused', 'out', 'out'])
  assert.deepEqual(await go(), ['beyond'])
  await assert.rejects(go(passed, fails, around), { message: 'refused' })
})
