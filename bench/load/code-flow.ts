import { createHash, randomBytes } from 'node:crypto'
import { generate } from 'otplib'
import type { Customer, Target } from '../targets/target.ts'
import { type Cookies, readForm, redirection, visit } from './browser.ts'
import { authentication, checkToken } from './client-credentials.ts'
import { type Connection, formatRequest, openConnection } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { dpopProof } from './signing.ts'

const pagesPerFlow = 12

/** What is signed before the clock starts. */
type Flow = { readonly push: string; readonly authenticate: Record<string, string>; readonly proof: string; readonly verifier: string }
type Steps = { names: string[] }

/** One browser per connection, each signed in once as a customer of its own. */
const signedIn = new WeakMap<Target, readonly Cookies[]>()

export const codeFlow: Path = {
  name: 'code flow, DPoP',
  leastRatio: 2.4,
  consistsOf:
    'PAR for a new account-access consent, /auth with a browser that is signed in, the page that asks for accounts, its answer, the code, /token for access, refresh and ID token',
  connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
  prepare: async (target, count) => {
    const browsers = await signedInBrowsers(target)
    const consents = await target.lodgeConsents(count)
    const flows = consents.map((consentId) => prepareFlow(target, consentId))
    const answers: string[] = []
    const counted = new Set<string>()
    return {
      perform: async (connection, index, worker) => {
        const flow = flows[index]
        const browser = browsers[worker % browsers.length]
        if (flow === undefined || browser === undefined) throw new Error('more operations than were prepared')
        const steps: Steps = { names: [] }
        answers.push(await runFlow(target, connection, browser, flow, steps))
        counted.add(steps.names.join(', '))
      },
      check: () => {
        if (counted.size !== 1 || !/, POST .*, POST \/token$/.test([...counted][0] ?? ''))
          throw new UnexpectedAnswer(`flows took different ways: ${[...counted].join(' | ')}`)
        for (const answer of answers) checkFlow(target, answer)
        stepsOf.set(target, [...counted][0] ?? '')
      },
    }
  },
}

/** The requests that a flow of a target took, in order. */
export const stepsOf = new WeakMap<Target, string>()

function checkFlow(target: Target, body: string): void {
  checkToken(target.client, body)
  const { refresh_token, id_token } = JSON.parse(body) as Record<string, string>
  if (!refresh_token || !id_token) throw new UnexpectedAnswer(`no refresh token or no ID token: ${body.slice(0, 300)}`)
}

function prepareFlow(target: Target, consentId: string): Flow {
  const { client, issuer } = target
  const verifier = randomBytes(32).toString('base64url')
  const push = pushRequest(target, consentId, verifier)
  return { push, authenticate: authentication(client, issuer), proof: dpopProof(client.proofKey, 'POST', `${issuer}/token`), verifier }
}

export function pushRequest({ client, issuer }: Target, consentId: string, verifier: string): string {
  return formatRequest({
    method: 'POST',
    origin: issuer,
    path: '/par',
    form: {
      ...authentication(client, issuer),
      response_type: 'code',
      redirect_uri: client.redirectUri,
      scope: 'openid accounts',
      state: randomBytes(16).toString('base64url'),
      nonce: randomBytes(16).toString('base64url'),
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      claims: JSON.stringify({ id_token: { openbanking_intent_id: { value: consentId, essential: true } } }),
    },
  })
}

async function runFlow(target: Target, connection: Connection, cookies: Cookies, flow: Flow, steps: Steps): Promise<string> {
  const { client, issuer } = target
  const pushed = await connection.send(flow.push)
  expectStatus('POST /par', 201, pushed)
  steps.names.push('POST /par')
  const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
  const start = `/auth?client_id=${client.clientId}&request_uri=${encodeURIComponent(request_uri)}`
  const code = await walk(target, connection, cookies, start, steps)
  const token = await connection.send(
    formatRequest({
      method: 'POST',
      origin: issuer,
      path: '/token',
      headers: { dpop: flow.proof },
      form: {
        grant_type: 'authorization_code',
        code,
        redirect_uri: client.redirectUri,
        code_verifier: flow.verifier,
        ...flow.authenticate,
      },
    }),
  )
  expectStatus('POST /token', 200, token)
  steps.names.push('POST /token')
  return token.body
}

/** From /auth to the redirect with the code, answering each page on the way. */
async function walk(
  target: Target,
  connection: Connection,
  cookies: Cookies,
  start: string,
  steps: Steps,
  customer?: Customer,
): Promise<string> {
  const { issuer, client } = target
  let location = start
  let fields: URLSearchParams | undefined
  for (let page = 0; page < pagesPerFlow; page++) {
    steps.names.push(`${fields ? 'POST' : 'GET'} /${location.replace(issuer, '').split(/[/?]/)[1]}`)
    const answer = await visit(connection, issuer, cookies, location, fields)
    const next = redirection(answer)
    if (next?.startsWith(client.redirectUri)) {
      const code = new URL(next).searchParams.get('code')
      if (code === null) throw new UnexpectedAnswer(`the authorization was refused: ${next}`)
      return code
    }
    if (next === undefined) expectStatus(`${fields ? 'POST' : 'GET'} ${location}`, 200, answer)
    const form = next === undefined ? readForm(answer.body, location) : undefined
    fields = form && (await fill(form.inputs, form.button, customer))
    location = next ?? form?.action ?? ''
  }
  throw new UnexpectedAnswer(`no code after ${pagesPerFlow} pages: ${steps.names.join(', ')}`)
}

async function fill(
  inputs: ReturnType<typeof readForm>['inputs'],
  button: ReturnType<typeof readForm>['button'],
  customer: Customer | undefined,
): Promise<URLSearchParams> {
  const fields = new URLSearchParams()
  for (const { name, value, type } of inputs) {
    if (type === 'hidden' || type === 'checkbox' || type === 'radio') fields.append(name, value)
    else if (customer === undefined) throw new UnexpectedAnswer(`a signed-in browser was asked for its ${name}`)
    else if (name === 'username' || name === 'password') fields.append(name, customer[name])
    else if (name === 'code') fields.append(name, await generate({ secret: customer.totpSecret ?? '' }))
  }
  if (button?.name) fields.append(button.name, button.value)
  return fields
}

async function signedInBrowsers(target: Target): Promise<readonly Cookies[]> {
  const browsers = signedIn.get(target) ?? (await signInAll(target))
  signedIn.set(target, browsers)
  return browsers
}

/** What the token endpoint answers to so many flows, one after the other. */
export async function authoriseMany(target: Target, count: number): Promise<readonly string[]> {
  const { issuer, ca } = target
  const [browser] = await signedInBrowsers(target)
  if (browser === undefined) throw new Error('no customer is signed in')
  const connection = await openConnection(issuer, { ca })
  const answers: string[] = []
  for (const consentId of await target.lodgeConsents(count))
    answers.push(await runFlow(target, connection, browser, prepareFlow(target, consentId), { names: [] }))
  connection.close()
  return answers
}

const connectionsOfRound = 16

/** Signs in through the pages, as a customer does, with one whole flow each; its cookies are then good for more. */
async function signInAll(target: Target): Promise<readonly Cookies[]> {
  const { client, issuer, ca } = target
  const connection = await openConnection(issuer, { ca })
  const browsers: Cookies[] = []
  const customers = target.customers.slice(0, connectionsOfRound)
  const consents = await target.lodgeConsents(customers.length)
  for (const [index, customer] of customers.entries()) {
    const flow = prepareFlow(target, consents[index] ?? '')
    const pushed = await connection.send(flow.push)
    expectStatus('POST /par', 201, pushed)
    const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
    const cookies: Cookies = new Map()
    const start = `/auth?client_id=${client.clientId}&request_uri=${encodeURIComponent(request_uri)}`
    await walk(target, connection, cookies, start, { names: [] }, customer)
    browsers.push(cookies)
  }
  connection.close()
  return browsers
}
