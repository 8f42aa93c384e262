import { randomUUID } from 'node:crypto'
import * as openid from 'openid-client'
import type { Answer } from '../third-party/answer.ts'
import * as forgery from '../third-party/forgery.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import type { StartedAuthorization, ThirdParty } from '../third-party/third-party.ts'
import { aisp, getAccountAccess, lodgeAccountAccess, paymentBody, pisp, submitPayment } from '../third-party/uk-open-banking.ts'
import { type Authorised, authorisePayment, withAmount } from './payment-scene.ts'
import { type Reader, read } from './reader.ts'
import { firstNameOf, isSterling, type Stage } from './stage.ts'
import type { Scene } from './story.ts'
import { challengeOf, errorOf } from './taking-back-scene.ts'

const atOnce = 8
const times = <Result>(act: () => Promise<Result>): Promise<Result[]> => Promise.all(Array.from({ length: atOnce }, act))
const winners = (answers: readonly Answer[]) => answers.filter(({ status }) => status < 300).length
const told = ({ status, headers, at }: Answer) =>
  [status, challengeOf(headers) || at('error') || at('Errors.0.ErrorCode')].filter(Boolean).join(' ')

/** Everything here is refused, or wins once of eight. */
export async function attackerScene(stage: Stage, scene: Scene, mtlsReader: Reader): Promise<void> {
  const [accountVictim, paymentVictim] = stage.cast.victims
  const to = stage.cast.payee.accounts.find(isSterling)
  if (to === undefined) throw new Error('nobody to pay')
  await stolenCertificateToken(stage, scene, mtlsReader)
  await replayedCode(stage, scene)
  await replayedAssertion(stage, scene)
  await anothersConsent(stage, scene, mtlsReader)
  const body = paymentBody({
    amount: '12.50',
    currency: 'GBP',
    creditor: { name: firstNameOf(stage.cast.payee), account: to },
    remittance: 'Lunch',
  })
  const authorised = await authorisePayment(stage, scene, { person: paymentVictim, body })
  await stolenProofToken(scene, authorised)
  await changedPayment(scene, authorised)
  stage.story.remark(`${firstNameOf(accountVictim)} and ${firstNameOf(paymentVictim)} lost nothing`)
}

async function stolenCertificateToken(stage: Stage, scene: Scene, reader: Reader): Promise<void> {
  await scene.step('A stolen token that is bound to a certificate', async ({ holds }) => {
    const url = aisp(reader.thirdParty, '/accounts')
    const authorization = `Bearer ${reader.tokens.access_token}`
    const nobody = { fetch: httpsFetch({ caFile: stage.sandbox.ca_file }) }
    const another = await stage.thirdParty('tpp-tls-dpop')
    const without = await forgery.get(nobody, url, { authorization })
    holds(`without a certificate: ${told(without)}`, without.status === 401)
    const wrong = await forgery.get(another, url, { authorization })
    holds(`with the certificate of another third party: ${told(wrong)}`, wrong.status === 401)
    const query = await forgery.get(reader.thirdParty, `${url}?access_token=${reader.tokens.access_token}`)
    holds(`by its owner, but in the query string: ${told(query)}`, [400, 401].includes(query.status))
    holds('its owner, in the header: 200', (await read(reader, '/accounts')).status === 200)
  })
}

/** A request_uri that two customers use at once, the code of the one who wins, and the request_uri again. */
async function replayedCode(stage: Stage, scene: Scene): Promise<void> {
  const thirdParty = await stage.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } })
  const callback = await twoAtOnce(stage, scene, started)
  const answers = await scene.step('The authorization code that came out of it, redeemed eight times at once', async ({ holds, note }) => {
    const redeemed = await times(() => redeemByHand(thirdParty, started, callback))
    holds('exactly one wins', winners(redeemed) === 1, `${winners(redeemed)} of ${atOnce}`)
    note(`the others: ${[...new Set(redeemed.filter(({ status }) => status >= 300).map(told))].join(', ')}`)
    return redeemed
  })
  await scene.step('The one token that came out of it', async ({ holds }) => {
    const token = answers.find(({ status }) => status === 200)?.textAt('access_token') ?? ''
    const used = await thirdParty.call(token, 'GET', aisp(thirdParty, '/accounts'))
    holds(`is dead as well, because the code was seen twice: ${told(used)}`, used.status === 401)
  })
  await scene.step('The used request_uri, opened eight times at once', async ({ holds }) => {
    const nobody = { fetch: httpsFetch({ caFile: stage.sandbox.ca_file }) }
    const opened = await times(() => forgery.get(nobody, started.url.href, { accept: 'text/html' }))
    const through = opened.filter(({ headers }) => /\/interaction\/|[?&]code=/.test(headers.get('location') ?? ''))
    holds(`none begins anything: ${opened[0]?.status}`, through.length === 0, `${through.length} of ${atOnce}`)
  })
}

/** Both wait for each other on the last page. @returns where the one who won was sent. */
async function twoAtOnce(stage: Stage, scene: Scene, started: StartedAuthorization): Promise<URL> {
  const names = stage.cast.victims.map(firstNameOf).join(' and ')
  return await scene.step(`${names} carry one request_uri to its end in two browsers, and press at the same moment`, async ({ holds }) => {
    const onLastPage = stage.cast.victims.map(() => Promise.withResolvers<void>())
    const everybody = Promise.all(onLastPage.map(({ promise }) => promise))
    const journeys = await Promise.all(
      stage.cast.victims.map((person, index) =>
        stage.atTheBrowser(person, (customer) =>
          customer.authorise(started.url, {
            async onScreen({ kind }) {
              if (kind !== 'choose_accounts') return
              onLastPage[index]?.resolve()
              await everybody
            },
          }),
        ),
      ),
    )
    const codes = journeys.flatMap(({ callback }) => (callback?.searchParams.has('code') ? [callback] : []))
    const [winner] = codes
    holds('exactly one of them gets a code', codes.length === 1 && winner !== undefined, `${codes.length}`)
    return winner ?? started.url
  })
}

async function redeemByHand(thirdParty: ThirdParty, started: StartedAuthorization, callback: URL): Promise<Answer> {
  const form = async () => ({
    ...(await forgery.clientAuthenticationForm(thirdParty)),
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: started.redirectUri,
    code_verifier: started.codeVerifier,
  })
  return await forgery.postFormWithProof(thirdParty, forgery.endpointOf(thirdParty, 'token_endpoint'), form)
}

async function replayedAssertion(stage: Stage, scene: Scene): Promise<void> {
  await scene.step('One client assertion, presented eight times at once', async ({ holds, note }) => {
    const thirdParty = await stage.thirdParty('tpp-pkjwt-mtls')
    const assertion = await forgery.handmadeAssertion(thirdParty)
    const form = { ...(await forgery.clientAuthenticationForm(thirdParty, assertion)), grant_type: 'client_credentials', scope: 'accounts' }
    const answers = await times(() => forgery.postForm(thirdParty, forgery.endpointOf(thirdParty, 'token_endpoint'), form))
    holds('exactly one wins', winners(answers) === 1, answers.map(told).join(', '))
    note(`the others: ${[...new Set(answers.filter(({ status }) => status >= 300).map(told))].join(', ')}`)
  })
}

async function anothersConsent(stage: Stage, scene: Scene, { consentId }: Reader): Promise<void> {
  await scene.step('Another third party tries a consent that is not its own', async ({ holds }) => {
    const other = await stage.thirdParty('tpp-pkjwt-dpop')
    const looked = await getAccountAccess(other, consentId)
    holds(`it may not look at it: ${told(looked)}`, looked.status === 403, `${looked.status} ${looked.text}`)
    const error = await errorOf(other.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'both' } }))
    holds(`it may not send a customer to it: ${error}`, error === 'invalid_request', error)
  })
}

async function stolenProofToken(scene: Scene, { thirdParty, tokens, consentId }: Authorised): Promise<void> {
  const url = pisp(thirdParty, `/domestic-payment-consents/${consentId}/funds-confirmation`)
  const accessToken = tokens.access_token
  const proof = (keys = thirdParty.proofKeys) => forgery.handmadeProof(keys, { htm: 'GET', htu: url, accessToken, jti: randomUUID() })
  await scene.step('A stolen token that is bound to a key', async ({ holds }) => {
    const downgraded = await forgery.get(thirdParty, url, { authorization: `Bearer ${accessToken}` })
    holds(`as a bearer token: ${told(downgraded)}`, downgraded.status === 401)
    const dpop = await proof(await openid.randomDPoPKeyPair('ES256'))
    const wrong = await forgery.get(thirdParty, url, { authorization: `DPoP ${accessToken}`, dpop })
    holds(`with a proof made by the thief’s own key: ${told(wrong)}`, wrong.status === 401)
  })
  await scene.step('One DPoP proof, presented eight times at once', async ({ holds, note }) => {
    const dpop = await proof()
    const answers = await times(() => forgery.get(thirdParty, url, { authorization: `DPoP ${accessToken}`, dpop }))
    holds('exactly one wins', winners(answers) === 1, answers.map(told).join(', '))
    note(`the others: ${[...new Set(answers.filter(({ status }) => status >= 300).map(told))].join(', ')}`)
  })
}

async function changedPayment(scene: Scene, { thirdParty, tokens, consentId, body }: Authorised): Promise<void> {
  await scene.step('A payment that differs from what was agreed', async ({ holds }) => {
    const send = (changed: typeof body) => submitPayment(thirdParty, tokens.access_token, consentId, changed)
    const more = await send(withAmount(body, '12.51'))
    holds(`a penny more: ${told(more)}`, more.status === 400 && more.at('Errors.0.ErrorCode') === 'U008', more.text)
    const payee = { ...(body.Data.Initiation['CreditorAccount'] as object), Identification: '20000055779911' }
    const redirected = await send({ ...body, Data: { Initiation: { ...body.Data.Initiation, CreditorAccount: payee } } })
    holds(
      `to another account: ${told(redirected)}`,
      redirected.status === 400 && redirected.at('Errors.0.ErrorCode') === 'U008',
      redirected.text,
    )
    const risk = await send({ ...body, Risk: {} })
    holds(`with another risk block: ${told(risk)}`, risk.status === 400 && risk.at('Errors.0.ErrorCode') === 'U008', risk.text)
  })
}
