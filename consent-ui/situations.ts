import { nameInText } from './components/name.ts'
import type { Done } from './done.ts'
import type { Problem } from './problem.ts'

/** How a journey can end without success (customer experience 5.11), in the customer's words. */
export type Situation =
  | 'locked' // five wrong passwords or codes: says neither which, nor whether there is such a customer (CX-11)
  | 'request_expired' // the third party's request was not answered in time, or is gone
  | 'request_changed' // decided elsewhere: the other tab, or the third party withdrew it
  | 'page_expired' // idle too long, or a page that was sent before
  | 'other_customer' // the request belongs to another customer
  | 'no_eligible_account'
  | 'contact_bank' // suspicion that must not be explained
  | 'unavailable'
  | 'not_found'
  | 'fault'

export type About = {
  readonly bankName: string
  readonly thirdParty?: string | undefined
  readonly payment: boolean
  readonly lockMinutes?: number | undefined
}
type ProblemTexts = Pick<Problem, 'title' | 'whatHappened' | 'didMoneyMove' | 'whatToDo'>

/** What `problemPage` says in a situation: what happened, whether money moved, what to do (CX-17). */
export function problemTexts(situation: Situation, { bankName, thirdParty, payment, lockMinutes = 15 }: About): ProblemTexts {
  const who = thirdParty && nameInText(thirdParty)
  const startAgain = who ? `Go back to ${who} and start again.` : 'Go back and start again.'
  const nothing = payment ? 'No money has moved.' : who ? 'Nothing was shared.' : undefined
  const texts: Record<Situation, Omit<ProblemTexts, 'didMoneyMove'>> = {
    locked: {
      title: 'You cannot sign in right now',
      whatHappened: 'There were too many wrong tries. To keep your money safe, we have stopped signing in for a while.',
      whatToDo: `Wait ${lockMinutes} minutes. ${who ? startAgain : 'Then sign in again.'}`,
    },
    request_expired: {
      title: 'This request has run out of time',
      whatHappened: who ? `The request from ${who} was open for too long.` : 'The request was open for too long.',
      whatToDo: startAgain,
    },
    request_changed: {
      title: 'This request has already been answered',
      whatHappened: 'It was answered in another window, or it was taken back.',
      whatToDo: who ? `Go back to ${who} to see where things stand.` : 'Go back to see where things stand.',
    },
    page_expired: {
      title: 'This page has stopped working',
      whatHappened: 'It was open for too long, or it was sent twice. We do this to keep you safe.',
      whatToDo: startAgain,
    },
    other_customer: {
      title: 'This request is for another customer',
      whatHappened: `The request belongs to somebody who signs in to ${bankName} with another username.`,
      whatToDo: `${startAgain} Sign in with the username you used before.`,
    },
    no_eligible_account: {
      title: payment ? 'You have no account for this payment' : 'You have no account to share',
      whatHappened: payment
        ? 'None of your accounts can be used for a payment like this.'
        : 'None of your accounts can be shared in this way.',
      whatToDo: who ? `Go back to ${who} to choose another way.` : `Contact ${bankName} if you think this is wrong.`,
    },
    contact_bank: {
      title: 'We could not do this',
      whatHappened: 'We have stopped this request.',
      whatToDo: `Contact ${bankName}. The number is on the back of your card.`,
    },
    unavailable: {
      title: 'We cannot do this right now',
      whatHappened: 'A part of our service is not working.',
      whatToDo: 'Try again in a few minutes.',
    },
    not_found: {
      title: 'We cannot find this page',
      whatHappened: 'The address may be wrong, or the page is no longer there.',
      whatToDo: startAgain,
    },
    fault: {
      title: 'Something went wrong',
      whatHappened: 'This is our fault, not yours.',
      whatToDo: `Try again. If it happens again, contact ${bankName}.`,
    },
  }
  return { ...texts[situation], didMoneyMove: nothing }
}

/** What `donePage` says at the end of a sign-out that was asked for, or was not wanted. */
export function signOutTexts({ signedOut }: { readonly signedOut: boolean }): OutcomeTexts {
  if (!signedOut) return { title: 'You are still signed in', lines: ['Nothing has changed.'] }
  return {
    title: 'You have signed out',
    lines: ['What you share with companies stays as it is. Sign in to Connected accounts to change that.', 'You can close this page.'],
  }
}

type OutcomeTexts = Pick<Done, 'title' | 'lines'>

/** The same for a request that a company made from elsewhere: who comes back to it is signed in, so it may be named. */
export function answeredElsewhereTexts({ thirdParty, agreed }: { readonly thirdParty: string; readonly agreed: boolean }): OutcomeTexts {
  const who = nameInText(thirdParty)
  if (!agreed) return { title: 'You said no', lines: [`Nothing was shared and nothing was paid. ${who} is told so.`] }
  return {
    title: 'You said yes',
    lines: [`${who} is told so. You can go on there.`, 'You can see what you agreed to in Connected accounts.'],
  }
}

/** What `donePage` or `refusedPage` says to somebody who comes back to a request that has its answer (CX-07, CX-15). */
export function answeredTexts({ bankName, agreed }: { readonly bankName: string; readonly agreed: boolean }): OutcomeTexts {
  if (!agreed) return { title: 'You did not agree', lines: ['Nothing was shared and nothing was paid.', 'You can close this page.'] }
  return {
    title: 'You have already agreed',
    lines: [
      'The company you came from has your answer. Coming back here does nothing more.',
      `You can see what you agreed to, and stop it, in Connected accounts at ${bankName}.`,
    ],
  }
}
