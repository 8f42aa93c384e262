import { createHash, randomBytes } from 'node:crypto'
import { generate } from 'otplib'
import type { Customer, ProofClient, Target } from '../targets/target.ts'
import { type Cookies, readForm, redirection, visit } from './browser.ts'
import { authentication, checkToken } from './client-credentials.ts'
import { type Connection, formatRequest, openConnection } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { decodeClaims, dpopProof } from './signing.ts'

const pagesPerFlow = 12

/** What is signed before the clock starts. */
type Flow = {
  readonly client: ProofClient
  readonly push: string
  readonly authenticate: Record<string, string>
  readonly proof: string
  readonly verifier: string
}
type Steps = { names: string[] }

/** Whom a flow is for, and what it asks for. */
type Asking = { readonly client: ProofClient; readonly scope: string; readonly consentId?: string | undefined }

/** One browser per connection, each signed in once as a customer of its own. */
const signedIn = new WeakMap<Target, readonly Cookies[]>()

/** Single sign-on. */
export const codeFlow: Path = {
  name: 'code flow, DPoP',
  leastRatio: 2.4,
  consistsOf:
    "PAR by the bank's own app, which needs no consent page, /auth with a browser that is signed in, which answers with the code, /token for access, refresh and ID token",
  ...flowsThat(/^POST \/par, GET \/auth, POST \/token$/, async ({ app }, count) => Array<Asking>(count).fill(app)),
}

export const codeFlowWithConsent: Path = {
  name: 'code flow with consent, DPoP',
  leastRatio: 2,
  consistsOf:
    'PAR for a new account-access consent, /auth with a browser that is signed in, the page that asks for accounts, its answer, the code, /token for access, refresh and ID token',
  ...flowsThat(/, POST \/interaction.*, POST \/token$/, async (target, count) => {
    const consents = await target.lodgeConsents(count)
    return consents.map((consentId) => forConsent(target, consentId))
  }),
}

export const forConsent = ({ client }: Target, consentId: string): Asking => ({ client, scope: 'openid accounts', consentId })

/** @param way What each flow has to be. All of a round are the same. */
function flowsThat(way: RegExp, ask: (target: Target, count: number) => Promise<readonly Asking[]>): Pick<Path, 'connects' | 'prepare'> {
  const connects: Path['connects'] = ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } })
  const prepare: Path['prepare'] = async (target, count) => {
    const browsers = await signedInBrowsers(target)
    const asking = await ask(target, count)
    const flows = asking.map((one) => prepareFlow(target, one))
    const answers: string[] = []
    const counted = new Set<string>()
    return {
      perform: async (connection, index, worker) => {
        const flow = flows[index]
        const browser = browsers[worker % browsers.length]
        if (flow === undefined || browser === undefined) throw new Error('more operations than were prepared')
        const steps: Steps = { names: [] }
        answers[index] = await runFlow(target, connection, browser, flow, steps)
        counted.add(steps.names.join(', '))
      },
      check: () => {
        const [steps = ''] = counted
        if (counted.size !== 1 || !way.test(steps)) throw new UnexpectedAnswer(`flows took another way: ${[...counted].join(' | ')}`)
        answers.forEach((answer, index) => void checkFlow(asking[index], answer))
        stepsOf.set(target, new Set([...(stepsOf.get(target) ?? []), steps]))
      },
    }
  }
  return { connects, prepare }
}

/** The requests that the flows of a target took, in order: a line for each kind of flow. */
export const stepsOf = new WeakMap<Target, ReadonlySet<string>>()

/** Whoever the customer is, both sides have seen password and code, and say so. */
const acr = 'urn:openbanking:psd2:sca'

function checkFlow(asking: Asking | undefined, body: string): void {
  if (asking === undefined) throw new Error('an answer to nothing')
  checkToken(asking.client, body, asking.scope.replace('openid ', ''))
  const { refresh_token, id_token } = JSON.parse(body) as Record<string, string>
  if (!refresh_token || decodeClaims(id_token ?? '')['acr'] !== acr)
    throw new UnexpectedAnswer(`no refresh token, or no ID token with its acr: ${body.slice(0, 300)}`)
}

function prepareFlow(target: Target, { client, scope, consentId }: Asking): Flow {
  const { issuer } = target
  const verifier = randomBytes(32).toString('base64url')
  const push = pushRequest(target, { client, scope, consentId }, verifier)
  const proof = dpopProof(client.proofKey, 'POST', `${issuer}/token`)
  return { client, push, authenticate: authentication(client, issuer), proof, verifier }
}

export function pushRequest({ issuer }: Target, { client, scope, consentId }: Asking, verifier: string): string {
  const intent = { id_token: { openbanking_intent_id: { value: consentId, essential: true } } }
  return formatRequest({
    method: 'POST',
    origin: issuer,
    path: '/par',
    form: {
      ...authentication(client, issuer),
      response_type: 'code',
      redirect_uri: client.redirectUri,
      scope,
      state: randomBytes(16).toString('base64url'),
      nonce: randomBytes(16).toString('base64url'),
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...(consentId !== undefined && { claims: JSON.stringify(intent) }),
    },
  })
}

async function runFlow(target: Target, connection: Connection, cookies: Cookies, flow: Flow, steps: Steps): Promise<string> {
  const { issuer } = target
  const { client } = flow
  const pushed = await connection.send(flow.push)
  expectStatus('POST /par', 201, pushed)
  steps.names.push('POST /par')
  const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
  const start = `/auth?client_id=${client.clientId}&request_uri=${encodeURIComponent(request_uri)}`
  const code = await walk(target, connection, cookies, { start, redirectUri: client.redirectUri }, steps)
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
  { start, redirectUri }: { readonly start: string; readonly redirectUri: string },
  steps: Steps,
  customer?: Customer,
): Promise<string> {
  const { issuer } = target
  let location = start
  let fields: URLSearchParams | undefined
  for (let page = 0; page < pagesPerFlow; page++) {
    steps.names.push(`${fields ? 'POST' : 'GET'} /${location.replace(issuer, '').split(/[/?]/)[1]}`)
    const answer = await visit(connection, issuer, cookies, location, fields)
    const next = redirection(answer)
    if (next?.startsWith(redirectUri)) {
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
    answers.push(await runFlow(target, connection, browser, prepareFlow(target, forConsent(target, consentId)), { names: [] }))
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
    const flow = prepareFlow(target, forConsent(target, consents[index] ?? ''))
    const pushed = await connection.send(flow.push)
    expectStatus('POST /par', 201, pushed)
    const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
    const cookies: Cookies = new Map()
    const start = `/auth?client_id=${client.clientId}&request_uri=${encodeURIComponent(request_uri)}`
    await walk(target, connection, cookies, { start, redirectUri: client.redirectUri }, { names: [] }, customer)
    browsers.push(cookies)
  }
  connection.close()
  return browsers
}
