import * as openid from 'openid-client'
import { getAccountAccess } from '../third-party/uk-open-banking.ts'
import { type Reader, read } from './reader.ts'
import { firstNameOf, type Stage } from './stage.ts'
import type { Scene } from './story.ts'

const pagesAtMost = 4

/** The customer looks up who may see what, and stops one of them. */
export async function takingBackScene(stage: Stage, scene: Scene, reader: Reader): Promise<void> {
  const person = stage.cast.payer
  await scene.step('Until now the third party may read', async ({ holds }) =>
    holds('200', (await read(reader, '/accounts')).status === 200),
  )
  await scene.step(
    `${firstNameOf(person)} signs in to “Connected accounts”, looks up the third party and stops it`,
    async ({ holds, note }) => {
      await stage.atTheBrowser(person, async (customer) => {
        let screen = await customer.open(`${stage.sandbox.issuer}/connected-accounts`)
        for (let page = 0; page < pagesAtMost && ['sign_in', 'second_factor'].includes(screen.kind); page++)
          screen = await customer.answer(screen)
        note(`“${screen.heading}”`)
        const path = `/connected-accounts/${reader.consentId}`
        const entry = customer.page.locator(`a[href*="${reader.consentId}"]`).first()
        holds('the list shows who has access', (await entry.count()) === 1, screen.text.slice(0, 400))
        await customer.page.goto(`${stage.sandbox.issuer}${path}`)
        const text = await customer.page.locator('main').innerText()
        holds('the entry says since when', /you said yes on/i.test(text), text.slice(0, 300))
        await customer.press(/^stop access/i)
        screen = await customer.press(/^stop access$/i)
        note(`“${screen.heading}”`)
      })
    },
  )
  await scene.step('The third party’s very next call', async ({ holds }) => {
    const refused = await read(reader, '/accounts')
    holds(
      `is refused: ${refused.status} ${challengeOf(refused.headers)}`,
      [401, 403].includes(refused.status),
      `${refused.status} ${refused.text}`,
    )
    holds(
      'its refresh token is dead: invalid_grant',
      (await errorOf(reader.thirdParty.refresh(reader.tokens.refresh_token ?? ''))) === 'invalid_grant',
    )
    holds('it can see why: the consent is CANC', (await getAccountAccess(reader.thirdParty, reader.consentId)).at('Data.Status') === 'CANC')
  })
}

/** The OAuth error that a request ended with, or undefined when it succeeded. */
export async function errorOf(pending: Promise<unknown>): Promise<string | undefined> {
  try {
    await pending
    return undefined
  } catch (error) {
    if (error instanceof openid.ResponseBodyError || error instanceof openid.AuthorizationResponseError) return error.error
    throw error
  }
}

export function challengeOf(headers: Headers): string {
  return /error="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1] ?? ''
}
