/** The member of the metadata of a run that has the id of the message that it answers, as its client calls it. */
export const messageKey = 'messageId'
