"""How patients say things: material for made questions and messages, written for this project.

The even entries of each list are for tuning, the odd ones for reporting, so that nothing is
measured on words that it was tuned on. ``{x}`` is the illness.
"""

__all__ = ["ASIDES", "GREETINGS", "OPENINGS", "PLEAS", "QUESTIONS", "SIGN_OFFS", "STORIES"]

#: Question type of the corpus → wordings.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "information": (
        "what exactly is {x}?",
        "can you tell me more about {x}?",
        "I would like some information on {x}",
        "what does it mean to have {x}?",
        "please explain {x} to me in plain words",
        "where can i read about {x}?",
        "what kind of disease is {x}?",
        "anything you know about {x}",
    ),
    "symptoms": (
        "what are the signs of {x}?",
        "how do i know if i have {x}?",
        "which symptoms does {x} give?",
        "what does {x} feel like?",
        "can {x} make you tired and give you pain?",
        "what are early warning signs of {x}?",
        "how does {x} show?",
        "does {x} affect the eyes or the skin?",
    ),
    "treatment": (
        "how is {x} treated?",
        "is there a cure for {x}?",
        "what can be done about {x}?",
        "which medicines help against {x}?",
        "is there any new therapy for {x}?",
        "what treatment options exist for somebody with {x}?",
        "what is the best way to get rid of {x}?",
        "can {x} be managed without surgery?",
    ),
    "causes": (
        "why do people get {x}?",
        "what brings {x} on?",
        "where does {x} come from?",
        "what is the reason for {x}?",
        "what triggers {x}?",
        "can stress cause {x}?",
        "how do you get {x}?",
        "how did my child get {x}?",
    ),
    "inheritance": (
        "does {x} run in families?",
        "is {x} hereditary?",
        "can i pass {x} on to my children?",
        "what are the odds that my kids will get {x} from me?",
        "is {x} genetic?",
        "if my father has {x} will i get it?",
        "am i a carrier of {x}?",
        "how do you inherit {x}?",
    ),
    "frequency": (
        "how common is {x}?",
        "how rare is {x}?",
        "how many people have {x}?",
        "what is the prevalence of {x}?",
        "are there many others with {x}?",
        "how often does {x} occur?",
    ),
    "genetic changes": (
        "which gene is responsible for {x}?",
        "what mutation causes {x}?",
        "what genes are involved in {x}?",
        "which chromosome is changed in {x}?",
    ),
    "exams and tests": (
        "how do doctors find out whether it is {x}?",
        "is there a blood test for {x}?",
        "what tests are done for {x}?",
        "how is {x} diagnosed?",
        "can a scan show {x}?",
        "how can i get tested for {x}?",
    ),
    "outlook": (
        "what is the prognosis with {x}?",
        "how long can you live with {x}?",
        "what is the life expectancy of someone with {x}?",
        "will {x} get worse over time?",
        "can you die of {x}?",
        "does {x} ever go away?",
    ),
    "susceptibility": (
        "who gets {x}?",
        "am i at risk of {x}?",
        "who is most likely to develop {x}?",
        "what raises the chance of getting {x}?",
        "are women more prone to {x}?",
        "what are risk factors for {x}?",
    ),
    "prevention": (
        "how can i avoid {x}?",
        "what can i do so that i do not get {x}?",
        "how do you protect yourself from {x}?",
        "can {x} be prevented?",
    ),
    "complications": (
        "what can {x} lead to?",
        "which problems can {x} cause later?",
        "is {x} dangerous?",
        "what happens if {x} is not treated?",
    ),
    "research": (
        "are there clinical trials for {x}?",
        "what studies are going on about {x}?",
        "is anybody doing research on {x}?",
        "can i join a trial for {x}?",
    ),
    "considerations": (
        "what should i do if i have {x}?",
        "what should i eat with {x}?",
        "what should i watch out for with {x}?",
        "which diet is good for {x}?",
    ),
    "stages": (
        "which stages does {x} have?",
        "how is the stage of {x} determined?",
    ),
}

GREETINGS = (
    "Hello,",
    "Good morning doctor,",
    "Dear Sir or Madam,",
    "hi there",
    "",
    "To whom it may concern:",
    "Hi, I hope that you are well.",
    "",
)

#: Say once what it is about; the question may follow with "it".
OPENINGS = (
    "I was diagnosed with {x} in 2011.",
    "my sister has {x}",
    "My son, aged 7, was found to have {x} last month.",
    "the doctor thinks that my husband has {x}.",
    "I have had {x} for many years now and I am 63 years old.",
    "a friend of mine died of {x}",
    "my wife's mother and her aunt both had {x}.",
    "I just found out that I might have {x} and I am scared.",
)

STORIES = (
    "I live in a small town and the nearest hospital is two hours away.",
    "We moved here three years ago because of my husband's job.",
    "my english is not very good so please excuse",
    "I have seen four doctors so far and every one of them tells me something else.",
    "It has been a very hard year for our family.",
    "She is a teacher and loves her work, but lately she has to stay at home a lot.",
    "I take a pill for blood pressure and vitamins every day.",
    "I used to run ten miles a week.",
    "i have no insurance at the moment and cant afford many visits.",
    "He is a happy boy who likes football and his dog.",
    "My daughter is getting married in June and I want to be there.",
    "I am 5 ft 6 and weigh 170 pounds, non smoker.",
    "We have searched the internet and found nothing that we understand.",
    "The last appointment was cancelled and the next one is only in October.",
    "my mother lives with us and helps where she can",
    "I work nights in a warehouse and sleep badly.",
)

#: What goes before the question itself.
PLEAS = (
    "My question is:",
    "I want to know",
    "can you please tell me",
    "",
    "I was wondering,",
    "So",
    "",
    "please could someone answer this for me:",
)

ASIDES = (
    "Any help would be very much appreciated.",
    "I do not know whom else to ask.",
    "I am very worried.",
    "please reply to my email soon",
    "",
    "",
    "My doctor is on holiday.",
    "I look forward to hearing from you.",
)

SIGN_OFFS = (
    "Thank you",
    "thanks in advance!",
    "Yours sincerely, M.",
    "",
    "God bless you all",
    "Kind regards",
    "",
    "thx",
)
