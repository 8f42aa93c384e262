import type { Screen } from '../customer/screen.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { StartedAuthorization, ThirdParty, Tokens } from '../third-party/third-party.ts'
import { lodgeAccountAccess, readEverything } from '../third-party/uk-open-banking.ts'
import { claimsOf, type Reader, read } from './reader.ts'
import { firstNameOf, type Stage } from './stage.ts'
import type { Check, Scene } from './story.ts'

/** Shares some accounts of a customer with a third party, and reads them. */
export async function accountsScene(
  stage: Stage,
  scene: Scene,
  part: { clientId: string; person: DemoCustomer; share: number },
): Promise<Reader> {
  const { person, share } = part
  const name = firstNameOf(person)
  const thirdParty = await scene.step(
    'The third party finds the bank by its metadata and trusts only the sandbox’s authority',
    async ({ holds, note }) => {
      const opened = await stage.thirdParty(part.clientId)
      const { client } = opened
      holds('the issuer is exactly the one asked', opened.configuration.serverMetadata().issuer === stage.sandbox.issuer)
      note(
        `${client.client_id}: ${client.token_endpoint_auth_method}, tokens bound by ${client.sender_constraint === 'dpop' ? 'DPoP' : 'mTLS'}`,
      )
      return opened
    },
  )
  const consentId = await scene.step(
    'It lodges what it wants to see, with a token of its own (client credentials)',
    async ({ holds, note }) => {
      const lodged = await lodgeAccountAccess(thirdParty)
      holds(
        '201, the consent awaits authorisation (AWAU)',
        lodged.status === 201 && lodged.at('Data.Status') === 'AWAU',
        `${lodged.status} ${lodged.text}`,
      )
      note(`${lodged.textAt('Data.ConsentId')} for ${readEverything.join(', ')}`)
      return lodged.textAt('Data.ConsentId')
    },
  )
  const started = await pushRequest(scene, thirdParty, {
    scope: 'openid accounts',
    intent: { consentId, namedBy: thirdParty.client.sender_constraint === 'dpop' ? 'claims' : 'authorization_details' },
  })
  const { accountIds, callback } = await letShare(stage, scene, { person, share, started })
  const tokens = await scene.step(
    'The third party redeems the code',
    async (check) => await redeem(thirdParty, started, callback, { consentId, check }),
  )
  const reader: Reader = { thirdParty, tokens, consentId, accountIds }
  await readAccounts(scene, reader)
  const [hidden] = person.accounts.filter(({ id }) => !accountIds.includes(id))
  if (hidden)
    await scene.step(`It tries the account that ${name} did not choose`, async ({ holds }) => {
      const refused = await read(reader, `/accounts/${hidden.id}/balances`)
      holds('403, and the answer does not tell whether such an account exists', refused.status === 403, `${refused.status} ${refused.text}`)
    })
  return { ...reader, tokens: await refreshTwice(scene, reader) }
}

export async function pushRequest(
  scene: Scene,
  thirdParty: ThirdParty,
  request: Parameters<ThirdParty['start']>[0],
): Promise<StartedAuthorization> {
  return await scene.step('It pushes the authorization request (PAR with PKCE) and sends the customer to the bank', async ({ holds }) => {
    const started = await thirdParty.start(request)
    const names = [...started.url.searchParams.keys()].sort().join(', ')
    holds('the browser carries only client_id and request_uri', names === 'client_id, request_uri', names)
    holds('no consent id and no customer in the URL', !/con_|cus_/.test(started.url.href))
    return started
  })
}

/** Name, code, choice: the three pages of sharing. */
async function letShare(
  stage: Stage,
  scene: Scene,
  { person, share, started }: { person: DemoCustomer; share: number; started: StartedAuthorization },
) {
  const name = firstNameOf(person)
  return await scene.step(
    `${name} signs in with password and code, and picks ${share} of ${person.accounts.length} accounts`,
    async ({ holds, note }) => {
      const screens: Screen[] = []
      let accountIds: readonly string[] = []
      const { callback } = await stage.atTheBrowser(person, (customer) =>
        customer.authorise(started.url, {
          onScreen: (screen) => void screens.push(screen),
          choose(offered) {
            holds(
              'no account is ticked beforehand',
              offered.every(({ checked }) => !checked),
            )
            holds(
              `all ${person.accounts.length} accounts are offered, and no others`,
              sameIds(
                offered.map(({ id }) => id),
                person.accounts.map(({ id }) => id),
              ),
            )
            accountIds = person.accounts.slice(0, share).map(({ id }) => id)
            return accountIds
          },
        }),
      )
      const shown = screens.map(({ kind }) => kind).join(' → ')
      holds('three pages: sign in, code, accounts', shown === 'sign_in → second_factor → choose_accounts', shown)
      note(`“${screens.at(-1)?.heading ?? ''}”`)
      if (callback === undefined) throw new Error(`the customer did not come back: ${screens.at(-1)?.text.slice(0, 300) ?? ''}`)
      holds(
        'the browser is back at the third party with a code, a state and the issuer’s name',
        ['code', 'state', 'iss'].every((each) => callback.searchParams.has(each)),
      )
      return { accountIds, callback }
    },
  )
}

type Redemption = { consentId: string; check: Check }

export async function redeem(
  thirdParty: ThirdParty,
  started: StartedAuthorization,
  callback: URL,
  { consentId, check }: Redemption,
): Promise<Tokens> {
  const tokens = await thirdParty.redeem(started, callback)
  const { cnf, consent_id, exp, iat } = claimsOf(tokens.access_token) as {
    cnf?: Record<string, string>
    consent_id?: string
    exp: number
    iat: number
  }
  const bound = thirdParty.client.sender_constraint === 'dpop' ? cnf?.['jkt'] : cnf?.['x5t#S256']
  check.holds(
    `the access token is bound to the ${thirdParty.client.sender_constraint === 'dpop' ? 'key' : 'certificate'} and lives ${exp - iat} s`,
    bound !== undefined,
  )
  check.holds('it carries the consent', consent_id === consentId, String(consent_id))
  const names = tokens.claims()?.['openbanking_intent_id'] ?? consentDetailOf(tokens)
  check.holds('the bank’s signed ID token, or the details it granted, name the same consent', names === consentId, String(names))
  return tokens
}

/** RFC 9396: what was asked by authorization_details is answered in the token response. */
function consentDetailOf({ authorization_details }: Tokens): unknown {
  return authorization_details?.find(({ type }) => type === 'openbanking_consent')?.['consent_id']
}

async function readAccounts(scene: Scene, reader: Reader): Promise<void> {
  const [first = ''] = reader.accountIds
  await scene.step('It reads accounts, one account, its balances and its transactions', async ({ holds, note }) => {
    const list = await read(reader, '/accounts')
    holds(
      'the accounts are those that were chosen',
      sameIds(
        list.listAt('Data.Account').map((account) => account.textAt('AccountId')),
        reader.accountIds,
      ),
    )
    const one = await read(reader, `/accounts/${first}`)
    holds('one account can be read by its id', one.status === 200 && one.at('Data.Account.0.AccountId') === first)
    const balances = await read(reader, `/accounts/${first}/balances`)
    holds('its balances are there', balances.status === 200 && balances.listAt('Data.Balance').length > 0)
    const transactions = await read(reader, `/accounts/${first}/transactions`)
    holds('so are its transactions', transactions.status === 200 && transactions.listAt('Data.Transaction').length > 0)
    holds(
      'every answer carries an interaction id',
      [list, one, balances, transactions].every(({ headers }) => headers.has('x-fapi-interaction-id')),
    )
    note(`${transactions.listAt('Data.Transaction').length} transactions on the first page`)
  })
}

async function refreshTwice(scene: Scene, { thirdParty, tokens, accountIds, consentId }: Reader): Promise<Tokens> {
  return await scene.step('Later it refreshes, twice with the same refresh token', async ({ holds }) => {
    const refreshToken = tokens.refresh_token ?? ''
    holds('a refresh token was issued', refreshToken !== '')
    const first = await thirdParty.refresh(refreshToken)
    const second = await thirdParty.refresh(refreshToken)
    const rotated = [first, second].some(({ refresh_token }) => refresh_token !== undefined && refresh_token !== refreshToken)
    holds('the refresh token does not rotate', !rotated)
    const again = await read({ thirdParty, tokens: second }, '/accounts')
    holds(
      'the new access token opens the same accounts',
      again.status === 200 && again.listAt('Data.Account').length === accountIds.length,
      `${again.status} ${again.text}`,
    )
    holds('and carries the same consent', claimsOf(second.access_token)['consent_id'] === consentId)
    return Object.assign(second, { refresh_token: refreshToken })
  })
}

export const sameIds = (some: readonly string[], others: readonly string[]) => [...some].sort().join() === [...others].sort().join()
