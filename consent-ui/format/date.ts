/** The bank's customers live by the clock of the United Kingdom, wherever the server stands. */
const timeZone = 'Europe/London'
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hour12: false, timeZone, timeZoneName: 'short' })

/** `21 November 2026`. */
export const formatDate = (date: Date): string => day.format(date)

/** `14:05 GMT` in winter, `14:05 BST` in summer (CX-16). */
export const formatTime = (date: Date): string => clock.format(date)

/** `21 November 2026 at 14:05 GMT`. */
export const formatDateTime = (date: Date): string => `${formatDate(date)} at ${formatTime(date)}`
